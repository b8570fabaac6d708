//! Is a zip archive the same to every program? One reads the list at its end, another the headers on the
//! way; a forger lets them differ, and what was verified here is not what somebody else unpacks.

use zip::read::ZipFile;

/// What the list at the end says of one entry.
pub struct Listed {
    /// Where it stands in the list, and where the entry's own header is.
    listed_at: u64,
    at: u64,
    name: Vec<u8>,
    sums: Sums,
}

/// Of the content, as three fields in a row.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Sums {
    crc: u32,
    compressed: u64,
    size: u64,
}

impl Listed {
    pub fn of(entry: &ZipFile<'_, impl std::io::Read>) -> Self {
        let sums = Sums { crc: entry.crc32(), compressed: entry.compressed_size(), size: entry.size() };
        let name = entry.name_raw().to_vec();
        Self { listed_at: entry.central_header_start(), at: entry.header_start(), name, sums }
    }

    /// What the entry says it unpacks to.
    pub fn size(&self) -> u64 {
        self.sums.size
    }
}

/// Entries fill the archive up to the list, which starts at `list`, without a gap; each has in its own
/// header what the list says of it; and the list is as long as there are entries: of two with one name a
/// reader shows one, and which is a matter of taste.
pub fn is_one_story(archive: &[u8], list: u64, mut entries: Vec<Listed>) -> bool {
    let archive = Bytes(archive);
    entries.sort_by_key(|entry| entry.listed_at);
    let past_list = entries.iter().try_fold(list, |at, entry| archive.past_listed(at, entry));
    entries.sort_by_key(|entry| entry.at);
    let past_entries = entries.iter().try_fold(0, |at, entry| archive.past_entry(at, entry));
    // The end of the list, or that of a large archive.
    let end = past_list.and_then(|at| archive.slice(at, 4));
    matches!(end, Some(b"PK\x05\x06" | b"PK\x06\x06")) && past_entries == Some(list)
}

/// Sections are those of APPNOTE.TXT 6.3.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    /// §4.3.12.
    fn past_listed(&self, at: u64, entry: &Listed) -> Option<u64> {
        let lengths = u64::from(self.two(at + 28)?) + u64::from(self.two(at + 30)?) + u64::from(self.two(at + 32)?);
        (at == entry.listed_at).then_some(at + 46 + lengths)
    }

    /// §4.3.7 to §4.3.9.
    fn past_entry(&self, at: u64, entry: &Listed) -> Option<u64> {
        let (flags, method) = (self.two(at + 6)?, self.two(at + 8)?);
        let agrees = at == entry.at
            && self.slice(at, 4)? == b"PK\x03\x04"
            && self.two(entry.listed_at + 8)? == flags
            && self.two(entry.listed_at + 10)? == method;
        let (name, extra) = (u64::from(self.two(at + 26)?), u64::from(self.two(at + 28)?));
        if !agrees || self.slice(at + 30, name)? != entry.name || self.renames(at + 30 + name, extra)? {
            return None;
        }
        let data_end = (at + 30 + name + extra).checked_add(entry.sums.compressed)?;
        let own = self.sums(at + 14)?;
        if flags & STREAMED == 0 {
            return (own == entry.sums).then_some(data_end);
        }
        // Written before the content was known: what is zero here stands behind the content.
        if own != (Sums { crc: 0, compressed: 0, size: 0 }) && own != entry.sums {
            return None;
        }
        let after = if self.slice(data_end, 4)? == b"PK\x07\x08" { data_end + 4 } else { data_end };
        (self.sums(after)? == entry.sums).then_some(after + 12)
    }

    /// Is there an extra field with another name (§4.6.9)?
    fn renames(&self, start: u64, length: u64) -> Option<bool> {
        const UNICODE_PATH: u16 = 0x7075;
        let (mut at, end) = (start, start + length);
        while at + 4 <= end {
            if self.two(at)? == UNICODE_PATH {
                return Some(true);
            }
            at += 4 + u64::from(self.two(at + 2)?);
        }
        Some(false)
    }

    fn sums(&self, at: u64) -> Option<Sums> {
        let (crc, compressed, size) = (self.four(at)?, self.four(at + 4)?, self.four(at + 8)?);
        Some(Sums { crc, compressed: compressed.into(), size: size.into() })
    }

    fn two(&self, at: u64) -> Option<u16> {
        self.slice(at, 2).and_then(|two| two.try_into().ok()).map(u16::from_le_bytes)
    }

    fn four(&self, at: u64) -> Option<u32> {
        self.slice(at, 4).and_then(|four| four.try_into().ok()).map(u32::from_le_bytes)
    }

    fn slice(&self, at: u64, length: u64) -> Option<&[u8]> {
        let (at, length) = (usize::try_from(at).ok()?, usize::try_from(length).ok()?);
        self.0.get(at..at.checked_add(length)?)
    }
}

/// General purpose bit 3 (§4.4.4).
const STREAMED: u16 = 1 << 3;
