//! `README.md`: how to check this very bundle by hand. Its commands are made of numbers, hexadecimal
//! digits and base64 only: no name or text out of an event reaches a shell.

use super::evidence::{Evidence, Issued, Refused};
use super::manifest::Manifest;
use super::succession::Rotation;
use crate::audit::note::{SignedCheckpoint, VerifierKey};
use crate::audit::x509::{self, Places};
use crate::domain::Bytes;

pub(super) fn text(
    manifest: &Manifest,
    checkpoint: &SignedCheckpoint,
    evidence: &Evidence,
    rotations: &[Rotation],
) -> String {
    let signatures = manifest.keys.iter().filter_map(|key| {
        let pem = format!("keys/{:08x}.pem", key.id());
        Some(signature("checkpoint.txt", &pem, checkpoint.signature_line(key)?, key))
    });
    let paths: String = evidence
        .answers
        .iter()
        .flat_map(|answer| {
            let path: Vec<_> = answer.path().collect();
            path.windows(2).filter_map(|pair| link(&pair[0], &pair[1])).collect::<Vec<_>>()
        })
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect();
    let answers = evidence.answers.iter().map(|answer| {
        let ((certificate, key), challenge) = (answer.certificate(), answer.challenge_file());
        let (signature, digest) = (answer.signature_file(), answer.digest());
        let (answered, asked, chip) = (answer.signature.0, answer.challenge.0, answer.certificate.0);
        format!(
            "shown {certificate}\n\
             key {certificate} {key}\n\
             asked {answered} {asked} {chip}\n\
             openssl dgst -{digest} -verify \"$work/key.pem\" -signature {signature} {challenge}\n"
        )
    });
    let answered: String = answers.collect();
    let refused: String = evidence.refused.iter().map(Refused::by_hand).collect();
    let chips = match (answered.is_empty(), refused.is_empty()) {
        (true, true) => "# no chip signed anything in these events\n".to_owned(),
        (true, false) => format!("# no chip's answer verified in these events\n{refused}"),
        _ => answered + &refused,
    };
    let requests: String = evidence.issued.iter().filter_map(Issued::by_hand).collect();
    let rotations: String = rotations.iter().filter_map(rotation).collect();
    let keys = manifest.keys.iter().map(|key| format!("    {key}\n"));
    let ids: Vec<String> = manifest.keys.iter().map(|key| format!("{:08x}", key.id())).collect();
    let seqs: Vec<String> = manifest.events.iter().map(u64::to_string).collect();
    // What people named goes in last: nothing in it is taken for a place to fill.
    include_str!("../../../assets/bundle/README.md")
        .replace("{text_lines}", &checkpoint.checkpoint().to_string().lines().count().to_string())
        .replace("{signatures}", &signatures.collect::<String>())
        .replace("{seqs}", &seqs.join(" "))
        .replace("{ids}", &ids.join(" "))
        .replace("{chips}", &chips)
        .replace("{requests}", if requests.is_empty() { "# none was made in these events\n" } else { &requests })
        .replace("{rotations}", if rotations.is_empty() { "# no key was replaced\n" } else { &rotations })
        .replace("{paths}", if paths.is_empty() { "# no issuer's certificate is here\n" } else { &paths })
        .replace("{size}", &manifest.checkpoint.size.to_string())
        .replace("{events}", &manifest.events.len().to_string())
        .replace("{keys}", &keys.collect::<String>())
        .replace("{made_by}", &manifest.made_by)
        .replace("{origin}", manifest.checkpoint.origin.as_str())
        .replace("{unit}", &manifest.unit.to_string())
}

/// That the second certificate's key signed the first.
fn link((file, der): &(String, &Bytes), (issuer_file, issuer_der): &(String, &Bytes)) -> Option<String> {
    let Places { signed, signature, digest, .. } = x509::places(der)?;
    let Places { spki, .. } = x509::places(issuer_der)?;
    Some(format!("issued {file} {signed} {signature} {issuer_file} {spki} {}\n", digest?))
}

/// The old key's signature under the event's own proof; its public half as openssl reads it.
fn rotation(rotation: &Rotation) -> Option<String> {
    let Rotation { seq, old, proof, .. } = rotation;
    let checkpoint = &proof.as_ref()?.checkpoint;
    let lines = checkpoint.checkpoint().to_string().lines().count();
    let signature = signature("\"$work/rotation\"", "\"$work/old.pem\"", checkpoint.signature_line(old)?, old);
    Some(format!(
        "# key {id:08x} was replaced in event {seq}\n\
         sed '1,/^$/d' rotations/{seq}.tlog-proof > \"$work/rotation\"\n\
         head -n {lines} \"$work/rotation\" > \"$work/note\"\n\
         cat > \"$work/old.pem\" << end\n{pem}end\n{signature}\
         proven {seq} rotations/{seq}.tlog-proof\n",
        id = old.id(),
        pem = old.to_spki_pem(),
    ))
}

fn signature(note: &str, pem: &str, line: usize, key: &VerifierKey) -> String {
    let id = format!("{:08x}", key.id());
    format!(
        "sed -n '{line}p' {note} | cut -d ' ' -f 3 | base64 -d | tail -c 64 > \"$work/{id}.sig\"\n\
         openssl pkeyutl -verify -pubin -inkey {pem} -rawin -in \"$work/note\" -sigfile \"$work/{id}.sig\"\n"
    )
}
