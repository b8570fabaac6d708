//! Where a DER value ends (X.690 §8.1.3, §10.1).

/// The first DER SEQUENCE of `bytes`, header included; what follows it (stale bytes that a chip left
/// behind a shorter certificate) is cut. `None`: it does not start with a whole, definite-length,
/// minimally encoded SEQUENCE.
pub(super) fn first_sequence(bytes: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    if tag != SEQUENCE {
        return None;
    }
    let (header, length) = match first {
        0..=0x7f => (2, usize::from(first)),
        0x81..=0x83 => {
            let count = usize::from(first & 0x7f);
            let digits = rest.get(..count)?;
            let length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
            // Minimal: a length below 128 has no long form, and no leading zero.
            if length < 0x80 || digits.first() == Some(&0) {
                return None;
            }
            (2 + count, length)
        }
        // 0x80 is the indefinite form, BER's alone; a certificate of 16 MiB is none.
        0x80 | 0x84.. => return None,
    };
    bytes.get(..header + length)
}

#[cfg(test)]
mod tests {
    use super::first_sequence;

    #[test]
    fn what_follows_the_value_is_cut() {
        assert_eq!(first_sequence(&[0x30, 2, 5, 0, 9, 9]), Some(&[0x30, 2, 5, 0][..]));
        let mut long = vec![0x30, 0x82, 0x01, 0x00];
        long.extend([7; 256]);
        let whole = long.clone();
        long.extend([0xee; 40]);
        assert_eq!(first_sequence(&long), Some(&whole[..]));
    }

    #[test]
    fn what_is_not_a_whole_der_sequence_is_refused() {
        for bytes in [
            &[][..],
            &[0x30],
            &[0x31, 0],                   // another tag
            &[0x30, 3, 1, 2],             // shorter than it says
            &[0x30, 0x80, 5, 0, 0, 0],    // indefinite: BER only
            &[0x30, 0x81, 2, 5, 0],       // long form of a short length
            &[0x30, 0x82, 0, 0x80, 5, 0], // leading zero
            &[0x30, 0x84, 0, 0, 0, 1, 0],
        ] {
            assert_eq!(first_sequence(bytes), None, "{bytes:02x?}");
        }
    }
}
