//! The host of an address, and whether that is this very machine: without TLS no other one may be used, and what
//! stands in for AWS stands there.

/// Of `scheme://host:port/path`, without the brackets of an IPv6 address.
pub fn host(url: &str) -> &str {
    let (_scheme, rest) = url.split_once("://").unwrap_or_default();
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

pub fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_however_its_address_is_written() {
        let here = [
            "http://127.0.0.1",
            "http://127.0.0.1:4566",
            "http://127.0.0.1:4566/",
            "https://localhost",
            "http://localhost:1/sign",
            "http://[::1]:4566/",
            "http://127.8.8.8/?q",
        ];
        for url in here {
            assert!(is_this_machine(host(url)), "{url}");
        }
        for url in ["https://iot.eu-west-1.amazonaws.com", "http://localhost.evil", "http://[2001:db8::1]:1", "", "x"] {
            assert!(!is_this_machine(host(url)), "{url}");
        }
    }
}
