//! `wasi:sockets/udp`: wasmtime-wasi's, with datagrams counted. A socket that is bound nowhere that a rule names is given
//! only what comes from where it may send to.

use std::net::SocketAddr;

use wasmrun_core::NetworkProtocol;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::sockets::network::{IpAddressFamily, IpSocketAddress, Network};
use wasmtime_wasi::p2::bindings::sockets::udp::{
    Host, HostIncomingDatagramStream, HostOutgoingDatagramStream, HostUdpSocket, IncomingDatagram,
    IncomingDatagramStream, OutgoingDatagram, OutgoingDatagramStream,
};
use wasmtime_wasi::p2::{DynPollable, SocketResult, UdpSocket};
use wasmtime_wasi::sockets::WasiSocketsCtxView;

use super::delegate::delegate;
use crate::view::NetworkViewMut;

type Socket = Resource<UdpSocket>;
type Incoming = Resource<IncomingDatagramStream>;
type Outgoing = Resource<OutgoingDatagramStream>;

impl Host for NetworkViewMut<'_> {}

impl HostUdpSocket for NetworkViewMut<'_> {
    async fn start_bind(
        &mut self,
        socket: Socket,
        network: Resource<Network>,
        address: IpSocketAddress,
    ) -> SocketResult<()> {
        let number = socket.rep();
        self.theirs.start_bind(socket, network, address).await?;
        if self.sockets.gate.is_open_to_all(SocketAddr::from(address)) {
            self.sockets.open_to_all.insert(number);
        }
        Ok(())
    }

    async fn stream(
        &mut self,
        socket: Socket,
        remote: Option<IpSocketAddress>,
    ) -> SocketResult<(Incoming, Outgoing)> {
        let number = socket.rep();
        let (incoming, outgoing) = self.theirs.stream(socket, remote).await?;
        if self.sockets.open_to_all.contains(&number) {
            self.sockets.open_to_all.insert(incoming.rep());
        }
        Ok((incoming, outgoing))
    }

    fn drop(&mut self, socket: Socket) -> wasmtime::Result<()> {
        self.sockets.open_to_all.remove(&socket.rep());
        HostUdpSocket::drop(&mut self.theirs, socket)
    }

    delegate! { HostUdpSocket:
        fn finish_bind(socket: Socket) -> SocketResult<()>;
        fn local_address(socket: Socket) -> SocketResult<IpSocketAddress>;
        fn remote_address(socket: Socket) -> SocketResult<IpSocketAddress>;
        fn address_family(socket: Socket) -> wasmtime::Result<IpAddressFamily>;
        fn unicast_hop_limit(socket: Socket) -> SocketResult<u8>;
        fn set_unicast_hop_limit(socket: Socket, value: u8) -> SocketResult<()>;
        fn receive_buffer_size(socket: Socket) -> SocketResult<u64>;
        fn set_receive_buffer_size(socket: Socket, value: u64) -> SocketResult<()>;
        fn send_buffer_size(socket: Socket) -> SocketResult<u64>;
        fn set_send_buffer_size(socket: Socket, value: u64) -> SocketResult<()>;
        fn subscribe(socket: Socket) -> wasmtime::Result<Resource<DynPollable>>;
    }
}

impl HostIncomingDatagramStream for NetworkViewMut<'_> {
    fn receive(&mut self, incoming: Incoming, most: u64) -> SocketResult<Vec<IncomingDatagram>> {
        let is_open_to_all = self.sockets.open_to_all.contains(&incoming.rep());
        let mut datagrams = self.theirs.receive(incoming, most)?;
        let gate = &self.sockets.gate;
        if !is_open_to_all {
            datagrams.retain(|datagram| {
                let from = SocketAddr::from(datagram.remote_address);
                gate.allows_connect(NetworkProtocol::Udp, from)
            });
        }
        for datagram in &datagrams {
            gate.usage().traffic().received(datagram.data.len());
        }
        Ok(datagrams)
    }

    fn drop(&mut self, incoming: Incoming) -> wasmtime::Result<()> {
        self.sockets.open_to_all.remove(&incoming.rep());
        HostIncomingDatagramStream::drop(&mut self.theirs, incoming)
    }

    delegate! { HostIncomingDatagramStream:
        fn subscribe(incoming: Incoming) -> wasmtime::Result<Resource<DynPollable>>;
    }
}

impl HostOutgoingDatagramStream for NetworkViewMut<'_> {
    fn send(&mut self, outgoing: Outgoing, datagrams: Vec<OutgoingDatagram>) -> SocketResult<u64> {
        let lengths: Vec<_> = datagrams
            .iter()
            .map(|datagram| datagram.data.len())
            .collect();
        let sent = self.theirs.send(outgoing, datagrams)?;
        let count = usize::try_from(sent).unwrap_or(usize::MAX);
        for length in lengths.into_iter().take(count) {
            self.sockets.gate.usage().traffic().sent(length);
        }
        Ok(sent)
    }

    async fn drop(&mut self, outgoing: Outgoing) -> wasmtime::Result<()> {
        HostOutgoingDatagramStream::drop(&mut self.theirs, outgoing).await
    }

    delegate! { HostOutgoingDatagramStream:
        fn check_send(outgoing: Outgoing) -> SocketResult<u64>;
        fn subscribe(outgoing: Outgoing) -> wasmtime::Result<Resource<DynPollable>>;
    }
}
