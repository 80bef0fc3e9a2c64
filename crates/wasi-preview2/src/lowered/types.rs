//! Types of WIT, and what the canonical ABI makes of them.

use std::fmt;

use wasmrun_core::guest::ValueType;

/// A type of WIT: of those that there are, the ones that WASI 0.2 has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    /// None: what a function returns that returns nothing, or what is in a `result<_, …>`.
    Nothing,
    Bool,
    U8,
    U16,
    U32,
    U64,
    String,
    List(&'static Type),
    Record(&'static [(&'static str, Type)]),
    Tuple(&'static [Type]),
    /// What a case has that has nothing is [`Nothing`](Type::Nothing).
    Variant(&'static [(&'static str, Type)]),
    Enum(&'static [&'static str]),
    Option(&'static Type),
    Result(&'static (Type, Type)),
    Flags(&'static [&'static str]),
    Own(Resource),
    Borrow(Resource),
}

/// A resource of WASI 0.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resource {
    Error,
    Pollable,
    InputStream,
    OutputStream,
    TerminalInput,
    TerminalOutput,
    Descriptor,
    DirectoryEntryStream,
    Network,
    TcpSocket,
    UdpSocket,
    IncomingDatagramStream,
    OutgoingDatagramStream,
    ResolveAddressStream,
}

impl Resource {
    pub(crate) const ALL: [Resource; 14] = [
        Resource::Error,
        Resource::Pollable,
        Resource::InputStream,
        Resource::OutputStream,
        Resource::TerminalInput,
        Resource::TerminalOutput,
        Resource::Descriptor,
        Resource::DirectoryEntryStream,
        Resource::Network,
        Resource::TcpSocket,
        Resource::UdpSocket,
        Resource::IncomingDatagramStream,
        Resource::OutgoingDatagramStream,
        Resource::ResolveAddressStream,
    ];

    /// The interface that has it, without a version, and its name there.
    pub(crate) const fn name(self) -> (&'static str, &'static str) {
        match self {
            Resource::Error => ("wasi:io/error", "error"),
            Resource::Pollable => ("wasi:io/poll", "pollable"),
            Resource::InputStream => ("wasi:io/streams", "input-stream"),
            Resource::OutputStream => ("wasi:io/streams", "output-stream"),
            Resource::TerminalInput => ("wasi:cli/terminal-input", "terminal-input"),
            Resource::TerminalOutput => ("wasi:cli/terminal-output", "terminal-output"),
            Resource::Descriptor => ("wasi:filesystem/types", "descriptor"),
            Resource::DirectoryEntryStream => ("wasi:filesystem/types", "directory-entry-stream"),
            Resource::Network => ("wasi:sockets/network", "network"),
            Resource::TcpSocket => ("wasi:sockets/tcp", "tcp-socket"),
            Resource::UdpSocket => ("wasi:sockets/udp", "udp-socket"),
            Resource::IncomingDatagramStream => ("wasi:sockets/udp", "incoming-datagram-stream"),
            Resource::OutgoingDatagramStream => ("wasi:sockets/udp", "outgoing-datagram-stream"),
            Resource::ResolveAddressStream => {
                ("wasi:sockets/ip-name-lookup", "resolve-address-stream")
            }
        }
    }

    /// The one of that name, if there is one.
    pub(crate) fn find(interface: &str, name: &str) -> Option<Self> {
        let is_it = |resource: &Resource| resource.name() == (interface, name);
        Resource::ALL.into_iter().find(is_it)
    }
}

/// Where the members of a record are, one after the other.
pub(crate) struct Members {
    end: u32,
}

impl Members {
    pub(crate) const fn new() -> Self {
        Members { end: 0 }
    }

    /// Where the next is, which is of this type.
    pub(crate) const fn next(&mut self, ty: &Type) -> u32 {
        let at = self.end.next_multiple_of(ty.align());
        self.end = at + ty.size();
        at
    }
}

impl Type {
    /// Bytes in memory.
    pub(crate) const fn size(&self) -> u32 {
        let bytes = match self {
            Type::Nothing => 0,
            Type::Bool | Type::U8 => 1,
            Type::U16 => 2,
            Type::U32 | Type::Own(_) | Type::Borrow(_) => 4,
            Type::U64 | Type::String | Type::List(_) => 8,
            Type::Enum(names) => discriminant_size(names.len()),
            Type::Flags(names) => flags_size(names.len()),
            Type::Record(fields) => {
                let (mut members, mut field) = (Members::new(), 0);
                while field < fields.len() {
                    members.next(&fields[field].1);
                    field += 1;
                }
                members.end
            }
            Type::Tuple(types) => {
                let (mut members, mut member) = (Members::new(), 0);
                while member < types.len() {
                    members.next(&types[member]);
                    member += 1;
                }
                members.end
            }
            Type::Variant(_) | Type::Option(_) | Type::Result(_) => {
                let (mut largest, mut case) = (0, 0);
                while case < self.cases() {
                    largest = max(largest, self.case(case).size());
                    case += 1;
                }
                self.payload() + largest
            }
        };
        bytes.next_multiple_of(self.align())
    }

    /// What its address in memory is a multiple of.
    pub(crate) const fn align(&self) -> u32 {
        match self {
            Type::Nothing | Type::Bool | Type::U8 => 1,
            Type::U16 => 2,
            Type::U32 | Type::Own(_) | Type::Borrow(_) | Type::String | Type::List(_) => 4,
            Type::U64 => 8,
            Type::Enum(names) => discriminant_size(names.len()),
            Type::Flags(names) => flags_size(names.len()),
            Type::Record(fields) => {
                let (mut align, mut field) = (1, 0);
                while field < fields.len() {
                    align = max(align, fields[field].1.align());
                    field += 1;
                }
                align
            }
            Type::Tuple(types) => {
                let (mut align, mut member) = (1, 0);
                while member < types.len() {
                    align = max(align, types[member].align());
                    member += 1;
                }
                align
            }
            Type::Variant(_) | Type::Option(_) | Type::Result(_) => {
                max(discriminant_size(self.cases()), self.align_of_cases())
            }
        }
    }

    /// How many cases a variant has, or what is one: others have none.
    const fn cases(&self) -> usize {
        match self {
            Type::Variant(cases) => cases.len(),
            Type::Option(_) | Type::Result(_) => 2,
            _ => 0,
        }
    }

    /// What it has in that case.
    const fn case(&self, case: usize) -> &Type {
        match (self, case) {
            (Type::Variant(cases), case) if case < cases.len() => &cases[case].1,
            (Type::Option(some), 1) => some,
            (Type::Result(types), 0) => &types.0,
            (Type::Result(types), 1) => &types.1,
            _ => &Type::Nothing,
        }
    }

    const fn align_of_cases(&self) -> u32 {
        let (mut align, mut case) = (1, 0);
        while case < self.cases() {
            align = max(align, self.case(case).align());
            case += 1;
        }
        align
    }

    /// Where in a variant is what a case has: behind what says which it is.
    pub(crate) const fn payload(&self) -> u32 {
        discriminant_size(self.cases()).next_multiple_of(self.align_of_cases())
    }

    /// How many core values it is passed as.
    pub(crate) const fn flat_count(&self) -> usize {
        match self {
            Type::Nothing => 0,
            Type::String | Type::List(_) => 2,
            Type::Record(fields) => {
                let (mut count, mut field) = (0, 0);
                while field < fields.len() {
                    count += fields[field].1.flat_count();
                    field += 1;
                }
                count
            }
            Type::Tuple(types) => {
                let (mut count, mut member) = (0, 0);
                while member < types.len() {
                    count += types[member].flat_count();
                    member += 1;
                }
                count
            }
            Type::Variant(_) | Type::Option(_) | Type::Result(_) => {
                let (mut most, mut case) = (0, 0);
                while case < self.cases() {
                    let count = self.case(case).flat_count();
                    if count > most {
                        most = count;
                    }
                    case += 1;
                }
                1 + most
            }
            _ => 1,
        }
    }

    /// The core values that it is passed as.
    pub(crate) fn flat(&self) -> Vec<ValueType> {
        use ValueType::{I32, I64};
        match self {
            Type::Nothing => Vec::new(),
            Type::U64 => vec![I64],
            Type::String | Type::List(_) => vec![I32, I32],
            Type::Record(fields) => fields.iter().flat_map(|(_, ty)| ty.flat()).collect(),
            Type::Tuple(types) => types.iter().flat_map(Type::flat).collect(),
            Type::Variant(_) | Type::Option(_) | Type::Result(_) => {
                let mut flat = vec![I32];
                for case in 0..self.cases() {
                    for (place, ty) in (1..).zip(self.case(case).flat()) {
                        match flat.get_mut(place) {
                            None => flat.push(ty),
                            // There are no floats: of two that differ, one has 64 bits.
                            Some(other) if *other != ty => *other = I64,
                            Some(_) => {}
                        }
                    }
                }
                flat
            }
            _ => vec![I32],
        }
    }

    /// Whether something of it is behind a pointer, so that who is given one has to make room first.
    pub(crate) const fn allocates(&self) -> bool {
        match self {
            Type::String | Type::List(_) => true,
            Type::Record(fields) => {
                let mut field = 0;
                while field < fields.len() {
                    if fields[field].1.allocates() {
                        return true;
                    }
                    field += 1;
                }
                false
            }
            Type::Tuple(types) => {
                let mut member = 0;
                while member < types.len() {
                    if types[member].allocates() {
                        return true;
                    }
                    member += 1;
                }
                false
            }
            Type::Variant(_) | Type::Option(_) | Type::Result(_) => {
                let mut case = 0;
                while case < self.cases() {
                    if self.case(case).allocates() {
                        return true;
                    }
                    case += 1;
                }
                false
            }
            _ => false,
        }
    }
}

/// Bytes of what says which of so many cases it is.
pub(crate) const fn discriminant_size(cases: usize) -> u32 {
    match cases {
        0..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        _ => 4,
    }
}

/// Bytes of so many flags. WASI has no more than 8 together.
const fn flags_size(flags: usize) -> u32 {
    assert!(flags <= 8);
    1
}

const fn max(one: u32, other: u32) -> u32 {
    if one > other { one } else { other }
}

/// As WIT writes it, with records and the like in full.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, items: &mut dyn Iterator<Item = String>| {
            let items: Vec<_> = items.collect();
            f.write_str(&items.join(", "))
        };
        match self {
            Type::Nothing => f.write_str("_"),
            Type::Bool => f.write_str("bool"),
            Type::U8 => f.write_str("u8"),
            Type::U16 => f.write_str("u16"),
            Type::U32 => f.write_str("u32"),
            Type::U64 => f.write_str("u64"),
            Type::String => f.write_str("string"),
            Type::List(of) => write!(f, "list<{of}>"),
            Type::Option(of) => write!(f, "option<{of}>"),
            Type::Result((Type::Nothing, Type::Nothing)) => f.write_str("result"),
            Type::Result((ok, err)) => write!(f, "result<{ok}, {err}>"),
            Type::Tuple(types) => {
                f.write_str("tuple<")?;
                list(f, &mut types.iter().map(Type::to_string))?;
                f.write_str(">")
            }
            Type::Record(fields) => {
                f.write_str("record { ")?;
                let fields = fields.iter();
                list(f, &mut fields.map(|(name, ty)| format!("{name}: {ty}")))?;
                f.write_str(" }")
            }
            Type::Variant(cases) => {
                f.write_str("variant { ")?;
                let cases = cases.iter().map(|(name, ty)| match ty {
                    Type::Nothing => (*name).to_owned(),
                    ty => format!("{name}({ty})"),
                });
                list(f, &mut cases.collect::<Vec<_>>().into_iter())?;
                f.write_str(" }")
            }
            Type::Enum(names) | Type::Flags(names) => {
                let kind = match self {
                    Type::Enum(_) => "enum",
                    _ => "flags",
                };
                write!(f, "{kind} {{ {} }}", names.join(", "))
            }
            Type::Own(resource) => write!(f, "own<{}>", resource.name().1),
            Type::Borrow(resource) => write!(f, "borrow<{}>", resource.name().1),
        }
    }
}
