//! `wasi:sockets/tcp`: wasmtime-wasi's, with connections counted.

use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::sockets::network::{IpAddressFamily, IpSocketAddress, Network};
use wasmtime_wasi::p2::bindings::sockets::tcp::{Host, HostTcpSocket, ShutdownType};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, SocketResult, TcpSocket};
use wasmtime_wasi::sockets::WasiSocketsCtxView;

use super::counted;
use super::delegate::delegate;
use crate::view::NetworkViewMut;

type Socket = Resource<TcpSocket>;
type Streams = (Resource<DynInputStream>, Resource<DynOutputStream>);

impl Host for NetworkViewMut<'_> {}

impl HostTcpSocket for NetworkViewMut<'_> {
    fn finish_connect(&mut self, socket: Socket) -> SocketResult<Streams> {
        let borrowed = Socket::new_borrow(socket.rep());
        let streams = self.theirs.finish_connect(socket)?;
        let (table, usage) = (&mut *self.theirs.table, self.sockets.gate.usage());
        Ok(counted::connection(table, usage, &borrowed, streams)?)
    }

    fn accept(
        &mut self,
        socket: Socket,
    ) -> SocketResult<(Socket, Resource<DynInputStream>, Resource<DynOutputStream>)> {
        let (accepted, input, output) = self.theirs.accept(socket)?;
        let (table, usage) = (&mut *self.theirs.table, self.sockets.gate.usage());
        let (input, output) = counted::connection(table, usage, &accepted, (input, output))?;
        Ok((accepted, input, output))
    }

    async fn start_bind(
        &mut self,
        socket: Socket,
        network: Resource<Network>,
        address: IpSocketAddress,
    ) -> SocketResult<()> {
        self.theirs.start_bind(socket, network, address).await
    }

    async fn start_listen(&mut self, socket: Socket) -> SocketResult<()> {
        self.theirs.start_listen(socket).await
    }

    delegate! { HostTcpSocket:
        fn finish_bind(socket: Socket) -> SocketResult<()>;
        fn start_connect(socket: Socket, network: Resource<Network>, address: IpSocketAddress) -> SocketResult<()>;
        fn finish_listen(socket: Socket) -> SocketResult<()>;
        fn local_address(socket: Socket) -> SocketResult<IpSocketAddress>;
        fn remote_address(socket: Socket) -> SocketResult<IpSocketAddress>;
        fn is_listening(socket: Socket) -> wasmtime::Result<bool>;
        fn address_family(socket: Socket) -> wasmtime::Result<IpAddressFamily>;
        fn set_listen_backlog_size(socket: Socket, value: u64) -> SocketResult<()>;
        fn keep_alive_enabled(socket: Socket) -> SocketResult<bool>;
        fn set_keep_alive_enabled(socket: Socket, value: bool) -> SocketResult<()>;
        fn keep_alive_idle_time(socket: Socket) -> SocketResult<u64>;
        fn set_keep_alive_idle_time(socket: Socket, value: u64) -> SocketResult<()>;
        fn keep_alive_interval(socket: Socket) -> SocketResult<u64>;
        fn set_keep_alive_interval(socket: Socket, value: u64) -> SocketResult<()>;
        fn keep_alive_count(socket: Socket) -> SocketResult<u32>;
        fn set_keep_alive_count(socket: Socket, value: u32) -> SocketResult<()>;
        fn hop_limit(socket: Socket) -> SocketResult<u8>;
        fn set_hop_limit(socket: Socket, value: u8) -> SocketResult<()>;
        fn receive_buffer_size(socket: Socket) -> SocketResult<u64>;
        fn set_receive_buffer_size(socket: Socket, value: u64) -> SocketResult<()>;
        fn send_buffer_size(socket: Socket) -> SocketResult<u64>;
        fn set_send_buffer_size(socket: Socket, value: u64) -> SocketResult<()>;
        fn subscribe(socket: Socket) -> wasmtime::Result<Resource<DynPollable>>;
        fn shutdown(socket: Socket, how: ShutdownType) -> SocketResult<()>;
        fn drop(socket: Socket) -> wasmtime::Result<()>;
    }
}
