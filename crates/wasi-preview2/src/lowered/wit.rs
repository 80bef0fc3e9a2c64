//! The types of WASI 0.2, as wasmtime-wasi has them.

use wasmtime::component::Resource;
use wasmtime::{Result, bail, format_err};
use wasmtime_wasi::p2::bindings::cli::{terminal_input, terminal_output};
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::filesystem::types as filesystem;
use wasmtime_wasi::p2::bindings::io::streams::StreamError;
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::ResolveAddressStream;
use wasmtime_wasi::p2::bindings::sockets::network::{
    self, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
};
use wasmtime_wasi::p2::bindings::sockets::tcp::ShutdownType;
use wasmtime_wasi::p2::bindings::sockets::udp::{
    IncomingDatagram, IncomingDatagramStream, OutgoingDatagram, OutgoingDatagramStream,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, TcpSocket, UdpSocket};

use super::lift::{
    Lift, Lifting, Slots, case, lift_enum, lift_flags, lift_record, lift_variant, member, payload,
};
use super::lower::{Lower, Lowering, Wishes, lower_enum, lower_flags, lower_record, lower_variant};
use super::types::{self, Members, Type};

/// What a handle of a resource is of.
pub(crate) trait IsResource: 'static {
    /// Which resource that is.
    const RESOURCE: types::Resource;
}

macro_rules! resources {
    ($($type:ty = $resource:ident;)*) => {$(
        impl IsResource for $type {
            const RESOURCE: types::Resource = types::Resource::$resource;
        }
    )*};
}

resources! {
    wasmtime::Error = Error;
    DynPollable = Pollable;
    DynInputStream = InputStream;
    DynOutputStream = OutputStream;
    terminal_input::TerminalInput = TerminalInput;
    terminal_output::TerminalOutput = TerminalOutput;
    filesystem::Descriptor = Descriptor;
    filesystem::DirectoryEntryStream = DirectoryEntryStream;
    network::Network = Network;
    TcpSocket = TcpSocket;
    UdpSocket = UdpSocket;
    IncomingDatagramStream = IncomingDatagramStream;
    OutgoingDatagramStream = OutgoingDatagramStream;
    ResolveAddressStream = ResolveAddressStream;
}

/// What goes both ways.
macro_rules! both {
    ($lift:ident, $lower:ident: $type:ty { $($parts:tt)* }) => {
        $lift! { $type { $($parts)* } }
        $lower! { $type { $($parts)* } }
    };
}

// ---- wasi:io and wasi:clocks ------------------------------------------------------------------------

lower_variant! { StreamError {
    LastOperationFailed(error: Resource<wasmtime::Error>) = "last-operation-failed",
    Closed = "closed",
} }

both! { lift_record, lower_record: Datetime {
    seconds: u64 = "seconds",
    nanoseconds: u32 = "nanoseconds",
} }

// ---- wasi:filesystem --------------------------------------------------------------------------------

lower_enum! { filesystem::DescriptorType {
    Unknown = "unknown",
    BlockDevice = "block-device",
    CharacterDevice = "character-device",
    Directory = "directory",
    Fifo = "fifo",
    SymbolicLink = "symbolic-link",
    RegularFile = "regular-file",
    Socket = "socket",
} }

both! { lift_flags, lower_flags: filesystem::DescriptorFlags {
    READ = "read",
    WRITE = "write",
    FILE_INTEGRITY_SYNC = "file-integrity-sync",
    DATA_INTEGRITY_SYNC = "data-integrity-sync",
    REQUESTED_WRITE_SYNC = "requested-write-sync",
    MUTATE_DIRECTORY = "mutate-directory",
} }

lift_flags! { filesystem::PathFlags {
    SYMLINK_FOLLOW = "symlink-follow",
} }

lift_flags! { filesystem::OpenFlags {
    CREATE = "create",
    DIRECTORY = "directory",
    EXCLUSIVE = "exclusive",
    TRUNCATE = "truncate",
} }

lower_record! { filesystem::DescriptorStat {
    type_: filesystem::DescriptorType = "type",
    link_count: u64 = "link-count",
    size: u64 = "size",
    data_access_timestamp: Option<Datetime> = "data-access-timestamp",
    data_modification_timestamp: Option<Datetime> = "data-modification-timestamp",
    status_change_timestamp: Option<Datetime> = "status-change-timestamp",
} }

lift_variant! { filesystem::NewTimestamp {
    NoChange = "no-change",
    Now = "now",
    Timestamp(Datetime) = "timestamp",
} }

lower_record! { filesystem::DirectoryEntry {
    type_: filesystem::DescriptorType = "type",
    name: String = "name",
} }

lower_enum! { filesystem::ErrorCode {
    Access = "access",
    WouldBlock = "would-block",
    Already = "already",
    BadDescriptor = "bad-descriptor",
    Busy = "busy",
    Deadlock = "deadlock",
    Quota = "quota",
    Exist = "exist",
    FileTooLarge = "file-too-large",
    IllegalByteSequence = "illegal-byte-sequence",
    InProgress = "in-progress",
    Interrupted = "interrupted",
    Invalid = "invalid",
    Io = "io",
    IsDirectory = "is-directory",
    Loop = "loop",
    TooManyLinks = "too-many-links",
    MessageSize = "message-size",
    NameTooLong = "name-too-long",
    NoDevice = "no-device",
    NoEntry = "no-entry",
    NoLock = "no-lock",
    InsufficientMemory = "insufficient-memory",
    InsufficientSpace = "insufficient-space",
    NotDirectory = "not-directory",
    NotEmpty = "not-empty",
    NotRecoverable = "not-recoverable",
    Unsupported = "unsupported",
    NoTty = "no-tty",
    NoSuchDevice = "no-such-device",
    Overflow = "overflow",
    NotPermitted = "not-permitted",
    Pipe = "pipe",
    ReadOnly = "read-only",
    InvalidSeek = "invalid-seek",
    TextFileBusy = "text-file-busy",
    CrossDevice = "cross-device",
} }

lift_enum! { filesystem::Advice {
    Normal = "normal",
    Sequential = "sequential",
    Random = "random",
    WillNeed = "will-need",
    DontNeed = "dont-need",
    NoReuse = "no-reuse",
} }

lower_record! { filesystem::MetadataHashValue {
    lower: u64 = "lower",
    upper: u64 = "upper",
} }

// ---- wasi:sockets -----------------------------------------------------------------------------------

lower_enum! { network::ErrorCode {
    Unknown = "unknown",
    AccessDenied = "access-denied",
    NotSupported = "not-supported",
    InvalidArgument = "invalid-argument",
    OutOfMemory = "out-of-memory",
    Timeout = "timeout",
    ConcurrencyConflict = "concurrency-conflict",
    NotInProgress = "not-in-progress",
    WouldBlock = "would-block",
    InvalidState = "invalid-state",
    NewSocketLimit = "new-socket-limit",
    AddressNotBindable = "address-not-bindable",
    AddressInUse = "address-in-use",
    RemoteUnreachable = "remote-unreachable",
    ConnectionRefused = "connection-refused",
    ConnectionReset = "connection-reset",
    ConnectionAborted = "connection-aborted",
    DatagramTooLarge = "datagram-too-large",
    NameUnresolvable = "name-unresolvable",
    TemporaryResolverFailure = "temporary-resolver-failure",
    PermanentResolverFailure = "permanent-resolver-failure",
} }

both! { lift_enum, lower_enum: IpAddressFamily {
    Ipv4 = "ipv4",
    Ipv6 = "ipv6",
} }

type Ipv4 = (u8, u8, u8, u8);
type Ipv6 = (u16, u16, u16, u16, u16, u16, u16, u16);

lower_variant! { IpAddress {
    Ipv4(address: Ipv4) = "ipv4",
    Ipv6(address: Ipv6) = "ipv6",
} }

both! { lift_record, lower_record: Ipv4SocketAddress {
    port: u16 = "port",
    address: Ipv4 = "address",
} }

both! { lift_record, lower_record: Ipv6SocketAddress {
    port: u16 = "port",
    flow_info: u32 = "flow-info",
    address: Ipv6 = "address",
    scope_id: u32 = "scope-id",
} }

lift_variant! { IpSocketAddress {
    Ipv4(Ipv4SocketAddress) = "ipv4",
    Ipv6(Ipv6SocketAddress) = "ipv6",
} }

lower_variant! { IpSocketAddress {
    Ipv4(address: Ipv4SocketAddress) = "ipv4",
    Ipv6(address: Ipv6SocketAddress) = "ipv6",
} }

lift_enum! { ShutdownType {
    Receive = "receive",
    Send = "send",
    Both = "both",
} }

lower_record! { IncomingDatagram {
    data: Vec<u8> = "data",
    remote_address: IpSocketAddress = "remote-address",
} }

lift_record! { OutgoingDatagram {
    data: Vec<u8> = "data",
    remote_address: Option<IpSocketAddress> = "remote-address",
} }
