//! Addresses, as rules judge them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Blocks of IPv6 in which an IPv4 address follows on the block's own bits: those that are mapped and compatible
/// (RFC 4291, 2.5.5), NAT64 (RFC 6052, 2.1) and 6to4 (RFC 3056, 2).
const CARRIERS: [Ipv6Net; 4] = [
    v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96),
    v6([0, 0, 0, 0, 0, 0, 0, 0], 96),
    v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96),
    v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16),
];

/// `::` and `::1`, which carry nothing.
const NOT_CARRYING: Ipv6Net = v6([0; 8], 127);

/// Addresses that are the host's own, or lead to what trusts whoever can reach it. Those of metadata services beyond
/// link-local ones are what clouds document: Alibaba, Azure, Oracle; Amazon, Google, Oracle and Scaleway over IPv6.
const SPECIAL: [IpNet; 20] = [
    // Unspecified: this host, this network.
    IpNet::V4(v4([0, 0, 0, 0], 8)),
    IpNet::V6(v6([0; 8], 128)),
    // Loopback.
    IpNet::V4(v4([127, 0, 0, 0], 8)),
    IpNet::V6(v6([0, 0, 0, 0, 0, 0, 0, 1], 128)),
    // Link-local, where most clouds have their metadata.
    IpNet::V4(v4([169, 254, 0, 0], 16)),
    IpNet::V6(v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10)),
    // Multicast and broadcast.
    IpNet::V4(v4([224, 0, 0, 0], 4)),
    IpNet::V6(v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8)),
    IpNet::V4(v4([255, 255, 255, 255], 32)),
    // Metadata.
    IpNet::V4(v4([100, 100, 100, 200], 32)),
    IpNet::V4(v4([168, 63, 129, 16], 32)),
    IpNet::V4(v4([192, 0, 0, 192], 32)),
    IpNet::V6(v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0], 32)),
    IpNet::V6(v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0], 32)),
    IpNet::V6(v6([0xfd00, 0xc1, 0, 0, 0, 0, 0, 0], 32)),
    IpNet::V6(v6([0xfd00, 0x42, 0, 0, 0, 0, 0, 0], 32)),
    // A translator of the local network, to any IPv4 address in a form that only it knows (RFC 8215).
    IpNet::V6(v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48)),
    // IPv4 in IPv6 in two more ways that translators and tunnels had (RFC 2765, RFC 4380).
    IpNet::V6(v6([0, 0, 0, 0, 0xffff, 0, 0, 0], 96)),
    IpNet::V6(v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32)),
    // Site-local, which hosts may still take for a network of their own (RFC 3879).
    IpNet::V6(v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10)),
];

const fn v4([a, b, c, d]: [u8; 4], length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), length)
}

/// The address that `address` is judged as: the IPv4 address that it carries, if it does.
pub(crate) fn judged(address: IpAddr) -> IpAddr {
    judged_block(IpNet::from(address)).addr()
}

/// The block of the addresses that those in `block` are judged as.
pub(crate) fn judged_block(block: IpNet) -> IpNet {
    let IpNet::V6(inner) = block else {
        return block;
    };
    let carries = |carrier: &&Ipv6Net| carrier.contains(&inner) && !NOT_CARRYING.contains(&inner);
    let Some(carrier) = CARRIERS.iter().find(carries) else {
        return block;
    };
    let from = carrier.prefix_len();
    let bits = (inner.addr().to_bits() << from >> (128 - 32)) as u32;
    let length = (inner.prefix_len() - from).min(32);
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::from_bits(bits), length))
}

/// The range of special addresses that this one is in. Those are reached only where a rule is about nothing else.
pub(crate) fn special(judged: IpAddr) -> Option<&'static IpNet> {
    SPECIAL.iter().find(|range| range.contains(&judged))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_carries_an_ipv4_address_is_judged_as_it() {
        for (address, expected) in [
            ("::ffff:169.254.169.254", "169.254.169.254"),
            ("::10.1.2.3", "10.1.2.3"),
            ("64:ff9b::7f00:1", "127.0.0.1"),
            ("2002:7f00:1::", "127.0.0.1"),
            ("2002:0a01:0203:ffff::1", "10.1.2.3"),
            ("::", "::"),
            ("::1", "::1"),
            ("::2", "0.0.0.2"),
            ("2001:db8::1", "2001:db8::1"),
            ("64:ff9b:1::7f00:1", "64:ff9b:1::7f00:1"),
            ("1.2.3.4", "1.2.3.4"),
        ] {
            let address: IpAddr = address.parse().expect("an address");
            assert_eq!(judged(address).to_string(), expected, "{address}");
        }
    }

    #[test]
    fn blocks_are_judged_as_their_addresses_are() {
        for (block, expected) in [
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("64:ff9b::/96", "0.0.0.0/0"),
            ("2002:a00::/24", "10.0.0.0/8"),
            ("2002:a01:203::/64", "10.1.2.3/32"),
            ("::/0", "::/0"),
            ("2000::/3", "2000::/3"),
        ] {
            let block: IpNet = block.parse().expect("a block");
            assert_eq!(judged_block(block).to_string(), expected, "{block}");
        }
    }

    #[test]
    fn metadata_loopback_and_the_like_are_special() {
        for address in [
            "169.254.169.254",
            "fd00:ec2::254",
            "fd20:ce::254",
            "127.1.2.3",
            "::1",
            "0.0.0.0",
            "::",
            "224.0.0.251",
            "ff02::1",
            "255.255.255.255",
            "fe80::a9fe:a9fe",
        ] {
            assert!(
                special(address.parse().expect("an address")).is_some(),
                "{address}"
            );
        }
        for address in [
            "10.0.0.1",
            "192.168.1.1",
            "8.8.8.8",
            "2606:4700::1111",
            "fd01::1",
        ] {
            assert!(
                special(address.parse().expect("an address")).is_none(),
                "{address}"
            );
        }
    }
}
