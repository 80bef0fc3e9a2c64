//! Every function of the world of commands, each listed once.

use std::sync::LazyLock;

use wasmrun_wasi_preview1::{block_on, block_on_ready, within_reactor};
use wasmtime_wasi::cli::WasiCliView as _;
use wasmtime_wasi::p2::bindings::cli::{
    environment, exit, stderr, stdin, stdout, terminal_input, terminal_output, terminal_stderr,
    terminal_stdin, terminal_stdout,
};
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::bindings::filesystem::{preopens, types};
use wasmtime_wasi::p2::bindings::io::{error, poll, streams};
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};
use wasmtime_wasi::p2::bindings::sockets::{
    instance_network, ip_name_lookup, network, tcp, tcp_create_socket, udp, udp_create_socket,
};
use wasmtime_wasi::random::WasiRandomView as _;
use wasmtime_wasi::sockets::WasiSocketsView as _;

use super::call::{Function, Waited};
use crate::System;
use crate::clocks::clocks;
use crate::view::{FilesView as _, NetworkView as _};

/// The function of that name, of an interface without its version.
pub(crate) fn find(interface: &str, name: &str) -> Option<&'static Function> {
    let mut all = ALL.iter();
    all.find(|function| function.interface == interface && function.name == name)
}

/// Lists functions: their interface, what of the [`System`] they work on, their names, and how they are done.
///
/// What a function takes and returns, in WIT and lowered, follows from the trait that it is of. In brackets is what it needs
/// beside that: it may have to be waited for (`async`), makes or uses something that tokio has to know of (`entered`), or
/// is asked again and again until something has come, so that who tells it of that must have begun (`started`).
macro_rules! functions {
    ($system:ident: $(
        $interface:literal on $view:expr => {
            $($name:literal: $([$($how:ident)+])? $module:ident::$trait:ident::$function:ident($($param:ident),*);)*
            $(drop $dropped:literal: $([$($drop_how:ident)+])? $drop_module:ident::$drop_trait:ident;)*
        }
    )*) => {
        vec![$(
            $(Function::new($interface, $name, |$system: &mut System $(, $param)*| {
                functions!(@do [$($($how)+)?] $system
                    $module::$trait::$function(&mut $view $(, $param)*))
            }),)*
            $(Function::drop($interface, concat!("[resource-drop]", $dropped), |$system: &mut System, own| {
                functions!(@do [$($($drop_how)+)?] $system
                    $drop_module::$drop_trait::drop(&mut $view, own))
            }),)*
        )*]
    };
    (@do [] $system:ident $call:expr) => {
        $call
    };
    (@do [async] $system:ident $call:expr) => {{
        let control = $system.files.control.clone();
        Waited(block_on_ready(&control, $call))
    }};
    (@do [entered] $system:ident $call:expr) => {
        within_reactor(|| $call)
    };
    (@do [entered async] $system:ident $call:expr) => {{
        let control = $system.files.control.clone();
        Waited(within_reactor(|| block_on_ready(&control, $call)))
    }};
    (@do [started] $system:ident $call:expr) => {{
        let control = $system.files.control.clone();
        Waited(block_on(&control, async { $call }))
    }};
    (@do [started async] $system:ident $call:expr) => {{
        let control = $system.files.control.clone();
        Waited(block_on(&control, $call))
    }};
}

/// All of them: 123, and 14 that drop a resource.
pub(crate) static ALL: LazyLock<Vec<Function>> = LazyLock::new(|| {
    functions! { system:
        "wasi:cli/environment" on system.cli() => {
            "get-environment": environment::Host::get_environment();
            "get-arguments": environment::Host::get_arguments();
            "initial-cwd": environment::Host::initial_cwd();
        }
        "wasi:cli/exit" on system.cli() => {
            "exit": exit::Host::exit(status);
            "exit-with-code": exit::Host::exit_with_code(code);
        }
        "wasi:cli/stdin" on system.cli() => {
            "get-stdin": stdin::Host::get_stdin();
        }
        "wasi:cli/stdout" on system.cli() => {
            "get-stdout": stdout::Host::get_stdout();
        }
        "wasi:cli/stderr" on system.cli() => {
            "get-stderr": stderr::Host::get_stderr();
        }
        "wasi:cli/terminal-input" on system.cli() => {
            drop "terminal-input": terminal_input::HostTerminalInput;
        }
        "wasi:cli/terminal-output" on system.cli() => {
            drop "terminal-output": terminal_output::HostTerminalOutput;
        }
        "wasi:cli/terminal-stdin" on system.cli() => {
            "get-terminal-stdin": terminal_stdin::Host::get_terminal_stdin();
        }
        "wasi:cli/terminal-stdout" on system.cli() => {
            "get-terminal-stdout": terminal_stdout::Host::get_terminal_stdout();
        }
        "wasi:cli/terminal-stderr" on system.cli() => {
            "get-terminal-stderr": terminal_stderr::Host::get_terminal_stderr();
        }

        "wasi:clocks/monotonic-clock" on clocks(system) => {
            "now": monotonic_clock::Host::now();
            "resolution": monotonic_clock::Host::resolution();
            "subscribe-instant": monotonic_clock::Host::subscribe_instant(when);
            "subscribe-duration": monotonic_clock::Host::subscribe_duration(duration);
        }
        "wasi:clocks/wall-clock" on clocks(system) => {
            "now": wall_clock::Host::now();
            "resolution": wall_clock::Host::resolution();
        }

        "wasi:io/error" on system.resources => {
            "[method]error.to-debug-string": error::HostError::to_debug_string(error);
            drop "error": error::HostError;
        }
        "wasi:io/poll" on system.resources => {
            "[method]pollable.ready": [started async] poll::HostPollable::ready(pollable);
            "[method]pollable.block": [started async] poll::HostPollable::block(pollable);
            "poll": [started async] poll::Host::poll(pollables);
            drop "pollable": poll::HostPollable;
        }
        "wasi:io/streams" on system.resources => {
            "[method]input-stream.read": [entered] streams::HostInputStream::read(stream, length);
            "[method]input-stream.blocking-read": [entered async] streams::HostInputStream::blocking_read(stream, length);
            "[method]input-stream.skip": [entered] streams::HostInputStream::skip(stream, length);
            "[method]input-stream.blocking-skip": [entered async] streams::HostInputStream::blocking_skip(stream, length);
            "[method]input-stream.subscribe": streams::HostInputStream::subscribe(stream);
            "[method]output-stream.check-write": [entered] streams::HostOutputStream::check_write(stream);
            "[method]output-stream.write": [entered] streams::HostOutputStream::write(stream, contents);
            "[method]output-stream.blocking-write-and-flush":
                [entered async] streams::HostOutputStream::blocking_write_and_flush(stream, contents);
            "[method]output-stream.flush": [entered] streams::HostOutputStream::flush(stream);
            "[method]output-stream.blocking-flush": [entered async] streams::HostOutputStream::blocking_flush(stream);
            "[method]output-stream.subscribe": streams::HostOutputStream::subscribe(stream);
            "[method]output-stream.write-zeroes": [entered] streams::HostOutputStream::write_zeroes(stream, length);
            "[method]output-stream.blocking-write-zeroes-and-flush":
                [entered async] streams::HostOutputStream::blocking_write_zeroes_and_flush(stream, length);
            "[method]output-stream.splice": [entered] streams::HostOutputStream::splice(stream, from, length);
            "[method]output-stream.blocking-splice":
                [entered async] streams::HostOutputStream::blocking_splice(stream, from, length);
            drop "input-stream": [entered async] streams::HostInputStream;
            drop "output-stream": [entered async] streams::HostOutputStream;
        }

        "wasi:random/random" on *system.random() => {
            "get-random-bytes": random::Host::get_random_bytes(length);
            "get-random-u64": random::Host::get_random_u64();
        }
        "wasi:random/insecure" on *system.random() => {
            "get-insecure-random-bytes": insecure::Host::get_insecure_random_bytes(length);
            "get-insecure-random-u64": insecure::Host::get_insecure_random_u64();
        }
        "wasi:random/insecure-seed" on *system.random() => {
            "insecure-seed": insecure_seed::Host::insecure_seed();
        }

        "wasi:filesystem/preopens" on system.files() => {
            "get-directories": preopens::Host::get_directories();
        }
        "wasi:filesystem/types" on system.files() => {
            "[method]descriptor.read-via-stream": types::HostDescriptor::read_via_stream(fd, offset);
            "[method]descriptor.write-via-stream": types::HostDescriptor::write_via_stream(fd, offset);
            "[method]descriptor.append-via-stream": types::HostDescriptor::append_via_stream(fd);
            "[method]descriptor.advise": [async] types::HostDescriptor::advise(fd, offset, length, advice);
            "[method]descriptor.sync-data": [async] types::HostDescriptor::sync_data(fd);
            "[method]descriptor.get-flags": [async] types::HostDescriptor::get_flags(fd);
            "[method]descriptor.get-type": [async] types::HostDescriptor::get_type(fd);
            "[method]descriptor.set-size": [async] types::HostDescriptor::set_size(fd, size);
            "[method]descriptor.set-times": [async] types::HostDescriptor::set_times(fd, accessed, modified);
            "[method]descriptor.read": [async] types::HostDescriptor::read(fd, length, offset);
            "[method]descriptor.write": [async] types::HostDescriptor::write(fd, bytes, offset);
            "[method]descriptor.read-directory": [async] types::HostDescriptor::read_directory(fd);
            "[method]descriptor.sync": [async] types::HostDescriptor::sync(fd);
            "[method]descriptor.create-directory-at": [async] types::HostDescriptor::create_directory_at(fd, path);
            "[method]descriptor.stat": [async] types::HostDescriptor::stat(fd);
            "[method]descriptor.stat-at": [async] types::HostDescriptor::stat_at(fd, flags, path);
            "[method]descriptor.set-times-at":
                [async] types::HostDescriptor::set_times_at(fd, flags, path, accessed, modified);
            "[method]descriptor.link-at": [async] types::HostDescriptor::link_at(fd, flags, path, to, new);
            "[method]descriptor.open-at": [async] types::HostDescriptor::open_at(fd, flags, path, how, opened);
            "[method]descriptor.readlink-at": [async] types::HostDescriptor::readlink_at(fd, path);
            "[method]descriptor.remove-directory-at": [async] types::HostDescriptor::remove_directory_at(fd, path);
            "[method]descriptor.rename-at": [async] types::HostDescriptor::rename_at(fd, path, to, new);
            "[method]descriptor.symlink-at": [async] types::HostDescriptor::symlink_at(fd, target, path);
            "[method]descriptor.unlink-file-at": [async] types::HostDescriptor::unlink_file_at(fd, path);
            "[method]descriptor.is-same-object": [async] types::HostDescriptor::is_same_object(one, other);
            "[method]descriptor.metadata-hash": [async] types::HostDescriptor::metadata_hash(fd);
            "[method]descriptor.metadata-hash-at": [async] types::HostDescriptor::metadata_hash_at(fd, flags, path);
            "[method]directory-entry-stream.read-directory-entry":
                [async] types::HostDirectoryEntryStream::read_directory_entry(listing);
            "filesystem-error-code": types::Host::filesystem_error_code(error);
            drop "descriptor": types::HostDescriptor;
            drop "directory-entry-stream": types::HostDirectoryEntryStream;
        }

        "wasi:sockets/network" on system.network() => {
            drop "network": network::HostNetwork;
        }
        "wasi:sockets/instance-network" on system.sockets() => {
            "instance-network": instance_network::Host::instance_network();
        }
        "wasi:sockets/ip-name-lookup" on system.network() => {
            "resolve-addresses": [started] ip_name_lookup::Host::resolve_addresses(network, name);
            "[method]resolve-address-stream.resolve-next-address":
                [started] ip_name_lookup::HostResolveAddressStream::resolve_next_address(found);
            "[method]resolve-address-stream.subscribe":
                ip_name_lookup::HostResolveAddressStream::subscribe(found);
            drop "resolve-address-stream": [entered] ip_name_lookup::HostResolveAddressStream;
        }
        "wasi:sockets/tcp-create-socket" on system.sockets() => {
            "create-tcp-socket": [started] tcp_create_socket::Host::create_tcp_socket(family);
        }
        "wasi:sockets/tcp" on system.network() => {
            "[method]tcp-socket.start-bind": [started async] tcp::HostTcpSocket::start_bind(socket, network, address);
            "[method]tcp-socket.finish-bind": [started] tcp::HostTcpSocket::finish_bind(socket);
            "[method]tcp-socket.start-connect": [started] tcp::HostTcpSocket::start_connect(socket, network, address);
            "[method]tcp-socket.finish-connect": [started] tcp::HostTcpSocket::finish_connect(socket);
            "[method]tcp-socket.start-listen": [started async] tcp::HostTcpSocket::start_listen(socket);
            "[method]tcp-socket.finish-listen": [started] tcp::HostTcpSocket::finish_listen(socket);
            "[method]tcp-socket.accept": [started] tcp::HostTcpSocket::accept(socket);
            "[method]tcp-socket.local-address": [started] tcp::HostTcpSocket::local_address(socket);
            "[method]tcp-socket.remote-address": [started] tcp::HostTcpSocket::remote_address(socket);
            "[method]tcp-socket.is-listening": [started] tcp::HostTcpSocket::is_listening(socket);
            "[method]tcp-socket.address-family": [started] tcp::HostTcpSocket::address_family(socket);
            "[method]tcp-socket.set-listen-backlog-size": [started] tcp::HostTcpSocket::set_listen_backlog_size(socket, value);
            "[method]tcp-socket.keep-alive-enabled": [started] tcp::HostTcpSocket::keep_alive_enabled(socket);
            "[method]tcp-socket.set-keep-alive-enabled": [started] tcp::HostTcpSocket::set_keep_alive_enabled(socket, value);
            "[method]tcp-socket.keep-alive-idle-time": [started] tcp::HostTcpSocket::keep_alive_idle_time(socket);
            "[method]tcp-socket.set-keep-alive-idle-time": [started] tcp::HostTcpSocket::set_keep_alive_idle_time(socket, value);
            "[method]tcp-socket.keep-alive-interval": [started] tcp::HostTcpSocket::keep_alive_interval(socket);
            "[method]tcp-socket.set-keep-alive-interval": [started] tcp::HostTcpSocket::set_keep_alive_interval(socket, value);
            "[method]tcp-socket.keep-alive-count": [started] tcp::HostTcpSocket::keep_alive_count(socket);
            "[method]tcp-socket.set-keep-alive-count": [started] tcp::HostTcpSocket::set_keep_alive_count(socket, value);
            "[method]tcp-socket.hop-limit": [started] tcp::HostTcpSocket::hop_limit(socket);
            "[method]tcp-socket.set-hop-limit": [started] tcp::HostTcpSocket::set_hop_limit(socket, value);
            "[method]tcp-socket.receive-buffer-size": [started] tcp::HostTcpSocket::receive_buffer_size(socket);
            "[method]tcp-socket.set-receive-buffer-size": [started] tcp::HostTcpSocket::set_receive_buffer_size(socket, value);
            "[method]tcp-socket.send-buffer-size": [started] tcp::HostTcpSocket::send_buffer_size(socket);
            "[method]tcp-socket.set-send-buffer-size": [started] tcp::HostTcpSocket::set_send_buffer_size(socket, value);
            "[method]tcp-socket.subscribe": [started] tcp::HostTcpSocket::subscribe(socket);
            "[method]tcp-socket.shutdown": [started] tcp::HostTcpSocket::shutdown(socket, how);
            drop "tcp-socket": [started] tcp::HostTcpSocket;
        }
        "wasi:sockets/udp-create-socket" on system.sockets() => {
            "create-udp-socket": [started async] udp_create_socket::Host::create_udp_socket(family);
        }
        "wasi:sockets/udp" on system.network() => {
            "[method]udp-socket.start-bind": [started async] udp::HostUdpSocket::start_bind(socket, network, address);
            "[method]udp-socket.finish-bind": [started] udp::HostUdpSocket::finish_bind(socket);
            "[method]udp-socket.stream": [started async] udp::HostUdpSocket::stream(socket, remote);
            "[method]udp-socket.local-address": [started] udp::HostUdpSocket::local_address(socket);
            "[method]udp-socket.remote-address": [started] udp::HostUdpSocket::remote_address(socket);
            "[method]udp-socket.address-family": [started] udp::HostUdpSocket::address_family(socket);
            "[method]udp-socket.unicast-hop-limit": [started] udp::HostUdpSocket::unicast_hop_limit(socket);
            "[method]udp-socket.set-unicast-hop-limit": [started] udp::HostUdpSocket::set_unicast_hop_limit(socket, value);
            "[method]udp-socket.receive-buffer-size": [started] udp::HostUdpSocket::receive_buffer_size(socket);
            "[method]udp-socket.set-receive-buffer-size": [started] udp::HostUdpSocket::set_receive_buffer_size(socket, value);
            "[method]udp-socket.send-buffer-size": [started] udp::HostUdpSocket::send_buffer_size(socket);
            "[method]udp-socket.set-send-buffer-size": [started] udp::HostUdpSocket::set_send_buffer_size(socket, value);
            "[method]udp-socket.subscribe": [started] udp::HostUdpSocket::subscribe(socket);
            "[method]incoming-datagram-stream.receive": [started] udp::HostIncomingDatagramStream::receive(incoming, most);
            "[method]incoming-datagram-stream.subscribe": [started] udp::HostIncomingDatagramStream::subscribe(incoming);
            "[method]outgoing-datagram-stream.check-send": [started] udp::HostOutgoingDatagramStream::check_send(outgoing);
            "[method]outgoing-datagram-stream.send": [started] udp::HostOutgoingDatagramStream::send(outgoing, datagrams);
            "[method]outgoing-datagram-stream.subscribe": [started] udp::HostOutgoingDatagramStream::subscribe(outgoing);
            drop "udp-socket": [started] udp::HostUdpSocket;
            drop "incoming-datagram-stream": [started] udp::HostIncomingDatagramStream;
            drop "outgoing-datagram-stream": [started async] udp::HostOutgoingDatagramStream;
        }
    }
});
