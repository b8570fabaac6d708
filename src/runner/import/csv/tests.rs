use super::*;

const PRINT: &str = "aa0000000000000000000000000000000000000000000000000000000000000a";

fn product() -> Product {
    "gateway".parse().unwrap()
}

fn no_file(name: &str) -> Result<Vec<u8>, String> {
    Err(format!("there is no {name}"))
}

fn read_text(text: &str) -> Result<Vec<Row>, Vec<BadLine>> {
    read(text.as_bytes(), &product(), &Columns::default(), &mut no_file).map(|rows| rows.rows)
}

fn wrong(text: &str) -> Vec<String> {
    read_text(text).unwrap_err().iter().map(ToString::to_string).collect()
}

fn der() -> Vec<u8> {
    let key = rcgen::KeyPair::generate().unwrap();
    rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().der().to_vec()
}

#[test]
fn what_spreadsheets_make_of_a_table_is_one_table() {
    let plain = format!("board_serial,fingerprint,thing,date\nA1,{PRINT},thing-1,2023-05-06\nA2,{PRINT},,\n");
    let expected = read_text(&plain).unwrap();
    assert_eq!(expected.len(), 2);
    assert_eq!(expected[0].unit.to_string(), "gateway A1");
    assert_eq!(expected[0].fingerprint.to_string(), PRINT);
    assert_eq!(expected[0].thing.as_ref().unwrap().as_str(), "thing-1");
    assert_eq!(expected[0].date.unwrap().to_string(), "2023-05-06T00:00:00Z");
    assert_eq!((expected[1].line, &expected[1].thing, expected[1].date), (3, &None, None));
    let same = [
        format!("\u{feff}{plain}"),
        plain.replace('\n', "\r\n"),
        plain.replace(',', ";"),
        plain.replace(',', "\t").replace('\n', "\r\n"),
        format!("\u{feff}{}", plain.replace(',', ";")),
        plain.replace("A1,", "\"A1\","),
        plain.replace("thing-1", " thing-1 "),
        plain.replace("board_serial,fingerprint", "Serial,Certificate_SHA256"),
        plain.replace(PRINT, &PRINT.to_uppercase()),
        plain.replace(
            PRINT,
            &PRINT.as_bytes().chunks(2).map(|two| std::str::from_utf8(two).unwrap()).collect::<Vec<_>>().join(":"),
        ),
        plain.trim_end().to_owned(),
        // A separator within quotes is none.
        plain.replacen("thing,date", "thing,date,\"a;b;c;d;e\"", 1).replace("06\n", "06,\n").replace(",,\n", ",,,\n"),
    ];
    for text in same {
        assert_eq!(read_text(&text).unwrap(), expected, "{text}");
    }
    let time = read_text(&plain.replace("2023-05-06", "2023-05-06T09:00:00+09:00")).unwrap();
    assert_eq!(time[0].date, expected[0].date);
}

#[test]
fn columns_may_have_any_name_that_is_said() {
    let text = format!("Board,Print,serial\nA1,{PRINT},x\n");
    let columns: Columns = "serial=Board, fingerprint=Print".parse().unwrap();
    let rows = read(text.as_bytes(), &product(), &columns, &mut no_file).unwrap();
    assert_eq!(rows.rows[0].unit.serial.as_str(), "A1");
    assert_eq!(rows.file, Sha256::of(text.as_bytes()));
    let other: Columns = "serial=Bord".parse().unwrap();
    let bad = read(text.as_bytes(), &product(), &other, &mut no_file).unwrap_err();
    assert_eq!(bad[0].to_string(), "line 1: no column is called \"Bord\"");
    assert_eq!("serial".parse::<Columns>(), Err(ColumnsError::Form("serial".to_owned())));
    assert_eq!("uid=x".parse::<Columns>(), Err(ColumnsError::Unknown("uid".to_owned())));
    assert_eq!("date=x,date=y".parse::<Columns>(), Err(ColumnsError::Twice("date")));
}

#[test]
fn a_certificate_gives_fingerprint_and_key_and_contradicts_no_other() {
    let der = der();
    let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(&der));
    let own = Fingerprint::of(&der);
    let expected = (own, Some(spki_hash(&der).unwrap()), Some(Bytes(der.clone())));
    let mut file = |name: &str| match name {
        "certs/a.der" => Ok(der.clone()),
        "certs/a.pem" => Ok(pem.clone().into_bytes()),
        "certs/two.pem" => Ok(pem.repeat(2).into_bytes()),
        other => no_file(other),
    };
    let mut read = |certificate: &str, print: &str| {
        let text = format!("serial,certificate,fingerprint\nA1,{certificate},{print}\n");
        let rows = super::read(text.as_bytes(), &product(), &Columns::default(), &mut file);
        rows.map(|rows| rows.rows[0].clone()).map_err(|bad| bad[0].wrong.clone())
    };
    let quoted = format!("\"{pem}\"");
    for certificate in ["certs/a.der", "certs/a.pem", &STANDARD.encode(&der), quoted.as_str()] {
        for print in ["", &own.to_string().to_uppercase()] {
            let row = read(certificate, print).unwrap();
            assert_eq!((row.fingerprint, row.spki, row.certificate), expected);
        }
        let bad = read(certificate, PRINT).unwrap_err();
        assert_eq!(bad, format!("the fingerprint {PRINT} is not the certificate's, {own}"));
    }
    assert_eq!(read("certs/none", "").unwrap_err(), "the certificate \"certs/none\": there is no certs/none");
    assert_eq!(read("certs/two.pem", "").unwrap_err(), "\"certs/two.pem\": more than one certificate in PEM");
    let cut = STANDARD.encode(&der[..der.len() - 1]);
    assert!(read(&cut, "").unwrap_err().starts_with("not exactly one X.509 certificate in DER"));
}

#[test]
fn every_bad_line_is_named_by_the_line_that_an_editor_shows() {
    let text = format!(
        "serial,fingerprint,thing,date\r\n\
         A1,{PRINT},,\r\n\
         ,{PRINT},,\r\n\
         \r\n\
         A 3,{PRINT},,\r\n\
         A4,,,\r\n\
         A5,{PRINT},\"two\nlines\",\r\n\
         A6,xyz\u{1b}[2J,,\r\n\
         A7,{PRINT},,06.05.2023\r\n\
         A8,{PRINT},\r\n"
    );
    let expected = [
        "line 3: no serial number",
        "line 5: \"A 3\" is not a board serial: 1 to 64 printable ASCII characters without spaces",
        "line 6: neither fingerprint nor certificate",
        "line 7: \"two\\nlines\" is not a thing name",
        "line 9: \"xyz\\u{1b}[2J\" is not a certificate fingerprint: SHA-256, 64 hexadecimal digits",
        "line 10: \"06.05.2023\" is no date: RFC 3339 or YYYY-MM-DD",
        "line 11: 3 fields where the header has 4",
    ];
    let wrong = wrong(&text);
    assert_eq!(wrong.len(), expected.len(), "{wrong:#?}");
    for (wrong, expected) in wrong.iter().zip(expected) {
        assert!(wrong.starts_with(expected), "{wrong}\n{expected}");
    }
}

#[test]
fn a_file_that_is_no_history_says_what_is_missing() {
    assert_eq!(wrong(""), ["line 1: the file is empty"]);
    assert_eq!(wrong("\n\na,b\n"), ["line 3: no column is called board_serial or serial, among [\"a\", \"b\"]"]);
    let no_print = "line 1: no column is called fingerprint, certificate_sha256 or certificate, among [\"serial\"]";
    assert_eq!(wrong("serial\nA1\n"), [no_print]);
    let both = "line 1: \"serial\" and \"board_serial\" are both for the serial: say which with --columns";
    assert_eq!(wrong("serial,board_serial,fingerprint\n"), [both]);
    assert_eq!(read_text("serial,fingerprint\n").unwrap(), []);
    // As a Japanese spreadsheet writes it.
    let bytes = [b"serial,fingerprint,thing\nA1,".as_slice(), PRINT.as_bytes(), b",\x8a\xee\x94\xc2\n"].concat();
    let bad = read(&bytes, &product(), &Columns::default(), &mut no_file).unwrap_err();
    assert!(
        bad[0].to_string().starts_with("line 2: ") && bad[0].wrong.ends_with("is not UTF-8: save the file as such")
    );
}
