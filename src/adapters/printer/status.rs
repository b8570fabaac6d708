//! What a ZPL printer says of itself: `~HS`, host status (Zebra, ZPL II Programming Guide).

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::Trouble;

/// One that knows the question answers within a tenth of that.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(800);
/// Three lines of some forty characters.
const LONGEST: usize = 512;

const STX: u8 = 2;
const ETX: u8 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Ready,
    Trouble(Trouble, &'static str),
    /// It did not answer, or with something else: not every printer does.
    Nothing,
}

/// Asks on an open connection; `false`: the printer has closed it since.
pub(super) async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> (Told, bool) {
    let mut answer = Vec::new();
    let mut open = true;
    let asked: Result<io::Result<()>, _> = timeout(ANSWER_TIMEOUT, async {
        stream.write_all(b"~HS").await?;
        let mut some = [0; 128];
        while lines(&answer).count() < 2 && answer.len() < LONGEST {
            let size = stream.read(&mut some).await?;
            if size == 0 {
                open = false;
                break;
            }
            answer.extend_from_slice(&some[..size]);
        }
        Ok(())
    })
    .await;
    if let Ok(Err(_)) = asked {
        open = false;
    }
    (read(&answer), open)
}

fn read(answer: &[u8]) -> Told {
    let mut lines = lines(answer).map(|line| line.split(',').map(str::trim).collect::<Vec<_>>());
    let (Some(first), Some(second)) = (lines.next(), lines.next()) else { return Told::Nothing };
    if first.len() < 12 || second.len() < 5 {
        return Told::Nothing;
    }
    let flags = [
        (first[1], Trouble::Paper, "paper out"),
        (second[2], Trouble::Open, "head open"),
        (second[3], Trouble::Fault, "ribbon out"),
        (first[9], Trouble::Fault, "memory lost"),
        (first[11], Trouble::Fault, "too hot"),
        (first[10], Trouble::Fault, "too cold"),
        // The printer pauses itself for most of the others.
        (first[2], Trouble::Paused, "paused"),
    ];
    match flags.into_iter().find(|(flag, ..)| *flag == "1") {
        Some((_, trouble, said)) => Told::Trouble(trouble, said),
        None => Told::Ready,
    }
}

/// What stands between STX and ETX.
fn lines(answer: &[u8]) -> impl Iterator<Item = &str> {
    answer.split(|byte| *byte == STX).skip(1).filter_map(|rest| {
        let end = rest.iter().position(|byte| *byte == ETX)?;
        std::str::from_utf8(&rest[..end]).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(first: &str, second: &str) -> Told {
        read(format!("\x02{first}\x03\r\n\x02{second}\x03\r\n\x021234,0\x03\r\n").as_bytes())
    }

    #[test]
    fn each_flag_is_what_it_says() {
        let (good, well) = ("030,0,0,1245,000,0,0,0,000,0,0,0", "000,0,0,0,0,2,4,0,00000000,1,000");
        assert_eq!(told(good, well), Told::Ready);
        let first = |at: usize| {
            let mut flags: Vec<&str> = good.split(',').collect();
            flags[at] = "1";
            told(&flags.join(","), well)
        };
        let second = |at: usize| {
            let mut flags: Vec<&str> = well.split(',').collect();
            flags[at] = "1";
            told(good, &flags.join(","))
        };
        assert_eq!(first(1), Told::Trouble(Trouble::Paper, "paper out"));
        assert_eq!(first(2), Told::Trouble(Trouble::Paused, "paused"));
        assert_eq!(second(2), Told::Trouble(Trouble::Open, "head open"));
        assert_eq!(second(3), Told::Trouble(Trouble::Fault, "ribbon out"));
        assert_eq!(first(11), Told::Trouble(Trouble::Fault, "too hot"));
        // Out of paper, and paused for it: the paper is what somebody can do something about.
        assert_eq!(told("030,1,1,1245,000,0,0,0,000,0,0,0", well), Told::Trouble(Trouble::Paper, "paper out"));
        for nothing in [&b""[..], b"HTTP/1.1 400 Bad Request\r\n", b"\x02a,b\x03", b"\x02a\x03\x02b\x03"] {
            assert_eq!(read(nothing), Told::Nothing);
        }
    }
}
