//! Hosts that no proxy can stand for.

use std::net::{IpAddr, Ipv6Addr};

/// EC2's metadata service and EKS Pod Identity over IPv6. Over IPv4 their addresses are link-local, as is that
/// of ECS.
const OF_THE_INSTANCE: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)];

/// Whether a host is this machine, or one that is reached from this machine alone: a proxy would ask its own, and
/// would be told what is meant for this one. IPv6 addresses stand without brackets.
pub fn is_local(host: &str) -> bool {
    match host.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unicast_link_local() || OF_THE_INSTANCE.contains(&ip),
        // With all names below it (RFC 6761, 6.3).
        Err(_) => {
            let name = host.trim_end_matches('.').to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_and_the_services_of_its_instance_are_local() {
        for host in [
            "localhost",
            "LocalHost.",
            "bucket.localhost",
            "127.0.0.1",
            "127.3.2.1",
            "::1",
            "::ffff:127.0.0.1",
            "169.254.169.254",
            "169.254.170.2",
            "169.254.170.23",
            "fe80::1",
            "fd00:ec2::254",
            "fd00:ec2::23",
        ] {
            assert!(is_local(host), "{host}");
        }
        for host in
            ["s3.amazonaws.com", "localhost.example", "notlocalhost", "10.0.0.1", "fd00::1", "128.0.0.1"]
        {
            assert!(!is_local(host), "{host}");
        }
    }
}
