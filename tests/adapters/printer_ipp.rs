//! The IPP printer against CUPS's own: what it says, when a job ends otherwise, and when it dies.

use std::path::Path;
use std::time::{Duration, Instant};

use lineseal::adapters::printer::IppPrinter;
use lineseal::config::{IppFormat, IppQueue};
use lineseal::domain::ReasonCode;
use lineseal::ports::{LabelPrinter, Readiness};

use crate::office_printer::OfficePrinter;
use crate::printer::codes_of;

const PDF: &str = "application/pdf";
const ZPL: &str = "^XA^PW400^LL240^FO12,14^BXN,4,200,,,6,!^FDgw-SN1 0123^FS^FO200,20^A0N,40,40^FDSN1^FS^XZ";

fn printer_at(uri: String) -> IppPrinter {
    IppPrinter::new(IppQueue { uri, format: IppFormat::Drawn, roots: None })
}

async fn code(printer: &dyn LabelPrinter) -> ReasonCode {
    printer.print("label", ZPL).await.expect_err("a failure was expected").code
}

async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn text_on(sheet: &Path) -> Vec<String> {
    codes_of(sheet).into_iter().map(|(_, text)| text).collect()
}

#[tokio::test]
async fn a_label_comes_out_and_its_code_can_be_scanned() {
    for (formats, extension) in [(PDF, "pdf"), ("image/png", "png")] {
        let office = OfficePrinter::start(formats, "true");
        let printer = printer_at(office.uri());
        assert_eq!(printer.ready().await.unwrap(), Readiness::Ready);
        printer.print("gw-SN1", ZPL).await.unwrap();
        let sheets = office.sheets();
        let [sheet] = sheets.as_slice() else { panic!("one sheet was expected: {sheets:?}") };
        assert_eq!(sheet.extension().unwrap(), extension);
        assert_eq!(text_on(sheet), ["gw-SN1 0123"]);
    }
}

#[tokio::test]
async fn the_queue_of_a_label_printer_gets_the_zpl() {
    let office = OfficePrinter::start("application/vnd.zebra-zpl", "true");
    let queue = IppQueue { uri: office.uri(), format: IppFormat::Zpl, roots: None };
    IppPrinter::new(queue).print("label", ZPL).await.unwrap();
    let sheets = office.sheets();
    let [sheet] = sheets.as_slice() else { panic!("one sheet was expected: {sheets:?}") };
    assert_eq!(std::fs::read_to_string(sheet).unwrap(), ZPL);
    // It can't be drawn on.
    assert_eq!(code(&printer_at(office.uri())).await, ReasonCode::PRINTER_REFUSES);
}

#[tokio::test]
async fn a_job_that_aborts_after_print_job_said_ok_is_a_question() {
    let office = OfficePrinter::start(PDF, "sleep 0.3; exit 1");
    let printer = printer_at(office.uri());
    assert_eq!(code(&printer).await, ReasonCode::LABEL_GIVEN_UP);
    assert_eq!((office.begun(), office.sheets().len()), (1, 0));
}

#[tokio::test]
async fn a_printer_without_paper_says_so_before_it_is_given_the_label() {
    let office = OfficePrinter::start(PDF, "true");
    let printer = printer_at(office.uri());
    office.load(0);
    assert_eq!(printer.ready().await.unwrap_err().code, ReasonCode::PRINTER_EMPTY);
    assert_eq!(code(&printer).await, ReasonCode::PRINTER_EMPTY);
    assert_eq!(office.begun(), 0);
    office.load(25);
    printer.print("label", ZPL).await.unwrap();
    assert_eq!(office.sheets().len(), 1);
}

#[tokio::test]
async fn a_printer_that_dies_in_the_middle_is_a_question_and_one_that_is_gone_is_none() {
    let mut office = OfficePrinter::start(PDF, "sleep 12");
    let printer = printer_at(office.uri());
    let printing = tokio::spawn({
        let printer = printer.clone();
        async move { code(&printer).await }
    });
    eventually("it did not begin", || office.begun() == 1).await;
    office.kill();
    assert_eq!(printing.await.unwrap(), ReasonCode::PRINTER_INTERRUPTED);
    // And now it is certain that nothing is printed.
    assert_eq!(code(&printer).await, ReasonCode::PRINTER_UNREACHABLE);
    assert_eq!(printer.ready().await.unwrap_err().code, ReasonCode::PRINTER_UNREACHABLE);
}

#[tokio::test]
async fn a_printer_that_is_busy_gets_the_label_later_and_one_that_is_slow_is_a_question() {
    let office = OfficePrinter::start(PDF, "until [ -e go ]; do sleep 0.05; done");
    let hurried = || printer_at(office.uri()).with_job_timeout(Duration::from_secs(2));
    let first = tokio::spawn({
        let printer = hurried();
        async move { code(&printer).await }
    });
    eventually("it did not begin", || office.begun() == 1).await;
    // It has room for one job.
    let waited = code(&hurried()).await;
    assert!(waited.leaves_no_paper(), "{waited}");
    assert_eq!(first.await.unwrap(), ReasonCode::PRINTER_INTERRUPTED);
    std::fs::write(office.sheets_folder().join("../go"), "").unwrap();
    // Only the first one can come out by now.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(office.begun(), 1);
}
