//! `wasi:sockets`: wasmtime-wasi's, with datagrams counted. A socket for them that is bound nowhere that a rule names is
//! given only what comes from where it may send to. Names are looked up here.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use wasmrun_core::NetworkProtocol;
use wasmtime::component::{
    Access, Accessor, FutureConsumer, FutureReader, Resource, Source, StreamReader,
};
use wasmtime::{AsContextMut as _, StoreContextMut};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::p3::bindings::sockets::ip_name_lookup;
use wasmtime_wasi::p3::bindings::sockets::types::{
    self, ErrorCode, HostTcpSocket, HostTcpSocketWithStore, HostUdpSocket, HostUdpSocketWithStore,
    IpAddress, IpAddressFamily, IpSocketAddress,
};
use wasmtime_wasi::p3::sockets::{SocketError, SocketResult};
use wasmtime_wasi::runtime::spawn_blocking;
use wasmtime_wasi::sockets::{
    TcpSocket, UdpSocket, WasiSockets, WasiSocketsCtxView, WasiSocketsView as _,
};

use super::streams::Verdict;
use super::{HasSystem, Served};
use crate::System;
use crate::sockets::Wanted;

type Tcp = Resource<TcpSocket>;
type Udp = Resource<UdpSocket>;
type Told = FutureReader<Result<(), ErrorCode>>;

/// How many sockets may listen in one run, one after another or together: a listener is there as long as the component
/// has the stream of what connects to it, and nobody tells when it is gone.
const MOST_LISTENERS: usize = 256;

impl types::Host for &mut System {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }
}

/// Functions of a trait that do what wasmtime-wasi's do.
macro_rules! delegate {
    ($trait:ident: $(fn $name:ident($($param:ident: $type:ty),*) -> $result:ty;)*) => {
        $(fn $name(&mut self $(, $param: $type)*) -> $result {
            <WasiSocketsCtxView<'_> as $trait>::$name(&mut self.sockets() $(, $param)*)
        })*
    };
}

/// What wasmtime-wasi's functions work on.
fn theirs<'a, T: WasiView + 'static>(
    store: &'a mut Access<'_, T, HasSystem>,
) -> Access<'a, T, WasiSockets> {
    Access::<T, WasiSockets>::new(store.as_context_mut(), T::sockets)
}

impl<T: WasiView + 'static> HostTcpSocketWithStore<T> for HasSystem {
    async fn connect(
        store: &Accessor<T, Self>,
        socket: Tcp,
        address: IpSocketAddress,
    ) -> SocketResult<()> {
        let theirs = store.with_getter::<WasiSockets>(T::sockets);
        <WasiSockets as HostTcpSocketWithStore<T>>::connect(&theirs, socket, address).await?;
        store.with(|mut access| access.get().sockets.gate.usage().traffic().connected());
        Ok(())
    }

    async fn listen(
        mut store: Access<'_, T, Self>,
        socket: Tcp,
    ) -> SocketResult<StreamReader<Tcp>> {
        let listeners = &mut store.get().sockets.listeners;
        if *listeners == MOST_LISTENERS {
            return Err(ErrorCode::OutOfMemory.into());
        }
        *listeners += 1;
        store.get().sockets.gate.usage().traffic().lose_count();
        let theirs = theirs(&mut store);
        <WasiSockets as HostTcpSocketWithStore<T>>::listen(theirs, socket).await
    }

    fn send(
        mut store: Access<'_, T, Self>,
        socket: Tcp,
        mut data: StreamReader<u8>,
    ) -> wasmtime::Result<Told> {
        let Some(served) = served(&mut store) else {
            data.close(&mut store)?;
            return FutureReader::new(&mut store, async { full() });
        };
        let theirs = theirs(&mut store);
        let told = <WasiSockets as HostTcpSocketWithStore<T>>::send(theirs, socket, data)?;
        told_of(store, told, served)
    }

    fn receive(
        mut store: Access<'_, T, Self>,
        socket: Tcp,
    ) -> wasmtime::Result<(StreamReader<u8>, Told)> {
        let Some(served) = served(&mut store) else {
            let nothing = StreamReader::new(&mut store, std::iter::empty())?;
            return Ok((nothing, FutureReader::new(&mut store, async { full() })?));
        };
        let theirs = theirs(&mut store);
        let (data, told) = <WasiSockets as HostTcpSocketWithStore<T>>::receive(theirs, socket)?;
        Ok((data, told_of(store, told, served)?))
    }
}

/// One more stream of a connection, of which nobody counts what goes through.
fn served<T>(store: &mut Access<'_, T, HasSystem>) -> Option<Served> {
    let system = store.get();
    system.sockets.gate.usage().traffic().lose_count();
    system.files.served.another().ok()
}

/// What `theirs` tells of a stream, which is served until then.
fn told_of<T>(
    mut store: Access<'_, T, HasSystem>,
    theirs: Told,
    served: Served,
) -> wasmtime::Result<Told> {
    let (verdict, told) = Verdict::new();
    let passed_on = PassedOn {
        verdict,
        _served: served,
    };
    theirs.pipe(&mut store, passed_on)?;
    FutureReader::new(&mut store, told)
}

struct PassedOn {
    verdict: Verdict<ErrorCode>,
    _served: Served,
}

impl<D> FutureConsumer<D> for PassedOn {
    type Item = Result<(), ErrorCode>;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        mut from: Source<'_, Self::Item>,
        _: bool,
    ) -> Poll<wasmtime::Result<()>> {
        let mut told = None;
        from.read(store, &mut told)?;
        if let Some(Err(error)) = told {
            self.verdict.failed(error);
        }
        Poll::Ready(Ok(()))
    }
}

/// What the future of a stream tells that cannot be served.
fn full() -> wasmtime::Result<Result<(), ErrorCode>> {
    Ok(Err(ErrorCode::OutOfMemory))
}

impl HostTcpSocket for &mut System {
    async fn bind(&mut self, socket: Tcp, address: IpSocketAddress) -> SocketResult<()> {
        HostTcpSocket::bind(&mut self.sockets(), socket, address).await
    }

    delegate! { HostTcpSocket:
        fn create(family: IpAddressFamily) -> SocketResult<Tcp>;
        fn get_local_address(socket: Tcp) -> SocketResult<IpSocketAddress>;
        fn get_remote_address(socket: Tcp) -> SocketResult<IpSocketAddress>;
        fn get_is_listening(socket: Tcp) -> wasmtime::Result<bool>;
        fn get_address_family(socket: Tcp) -> wasmtime::Result<IpAddressFamily>;
        fn set_listen_backlog_size(socket: Tcp, value: u64) -> SocketResult<()>;
        fn get_keep_alive_enabled(socket: Tcp) -> SocketResult<bool>;
        fn set_keep_alive_enabled(socket: Tcp, value: bool) -> SocketResult<()>;
        fn get_keep_alive_idle_time(socket: Tcp) -> SocketResult<u64>;
        fn set_keep_alive_idle_time(socket: Tcp, value: u64) -> SocketResult<()>;
        fn get_keep_alive_interval(socket: Tcp) -> SocketResult<u64>;
        fn set_keep_alive_interval(socket: Tcp, value: u64) -> SocketResult<()>;
        fn get_keep_alive_count(socket: Tcp) -> SocketResult<u32>;
        fn set_keep_alive_count(socket: Tcp, value: u32) -> SocketResult<()>;
        fn get_hop_limit(socket: Tcp) -> SocketResult<u8>;
        fn set_hop_limit(socket: Tcp, value: u8) -> SocketResult<()>;
        fn get_receive_buffer_size(socket: Tcp) -> SocketResult<u64>;
        fn set_receive_buffer_size(socket: Tcp, value: u64) -> SocketResult<()>;
        fn get_send_buffer_size(socket: Tcp) -> SocketResult<u64>;
        fn set_send_buffer_size(socket: Tcp, value: u64) -> SocketResult<()>;
        fn drop(socket: Tcp) -> wasmtime::Result<()>;
    }
}

impl<T: WasiView + 'static> HostUdpSocketWithStore<T> for HasSystem {
    async fn send(
        store: &Accessor<T, Self>,
        socket: Udp,
        data: Vec<u8>,
        address: Option<IpSocketAddress>,
    ) -> SocketResult<()> {
        let theirs = store.with_getter::<WasiSockets>(T::sockets);
        let length = data.len();
        <WasiSockets as HostUdpSocketWithStore<T>>::send(&theirs, socket, data, address).await?;
        store.with(|mut access| access.get().sockets.gate.usage().traffic().sent(length));
        Ok(())
    }

    async fn receive(
        store: &Accessor<T, Self>,
        socket: Udp,
    ) -> SocketResult<(Vec<u8>, IpSocketAddress)> {
        let theirs = store.with_getter::<WasiSockets>(T::sockets);
        let number = socket.rep();
        loop {
            let socket = Udp::new_borrow(number);
            let (data, from) =
                <WasiSockets as HostUdpSocketWithStore<T>>::receive(&theirs, socket).await?;
            let is_for_it = store.with(|mut access| {
                let sockets = &access.get().sockets;
                let allowed = sockets.open_to_all.contains(&number)
                    || sockets
                        .gate
                        .allows_connect(NetworkProtocol::Udp, SocketAddr::from(from));
                if allowed {
                    sockets.gate.usage().traffic().received(data.len());
                }
                allowed
            });
            if is_for_it {
                return Ok((data, from));
            }
        }
    }
}

impl HostUdpSocket for &mut System {
    async fn create(&mut self, family: IpAddressFamily) -> SocketResult<Udp> {
        HostUdpSocket::create(&mut self.sockets(), family).await
    }

    async fn bind(&mut self, socket: Udp, address: IpSocketAddress) -> SocketResult<()> {
        let number = socket.rep();
        HostUdpSocket::bind(&mut self.sockets(), socket, address).await?;
        if self.sockets.gate.is_open_to_all(SocketAddr::from(address)) {
            self.sockets.open_to_all.insert(number);
        }
        Ok(())
    }

    async fn connect(&mut self, socket: Udp, address: IpSocketAddress) -> SocketResult<()> {
        HostUdpSocket::connect(&mut self.sockets(), socket, address).await
    }

    fn drop(&mut self, socket: Udp) -> wasmtime::Result<()> {
        self.sockets.open_to_all.remove(&socket.rep());
        HostUdpSocket::drop(&mut self.sockets(), socket)
    }

    delegate! { HostUdpSocket:
        fn disconnect(socket: Udp) -> SocketResult<()>;
        fn get_local_address(socket: Udp) -> SocketResult<IpSocketAddress>;
        fn get_remote_address(socket: Udp) -> SocketResult<IpSocketAddress>;
        fn get_address_family(socket: Udp) -> wasmtime::Result<IpAddressFamily>;
        fn get_unicast_hop_limit(socket: Udp) -> SocketResult<u8>;
        fn set_unicast_hop_limit(socket: Udp, value: u8) -> SocketResult<()>;
        fn get_receive_buffer_size(socket: Udp) -> SocketResult<u64>;
        fn set_receive_buffer_size(socket: Udp, value: u64) -> SocketResult<()>;
        fn get_send_buffer_size(socket: Udp) -> SocketResult<u64>;
        fn set_send_buffer_size(socket: Udp, value: u64) -> SocketResult<()>;
    }
}

impl ip_name_lookup::Host for &mut System {}

impl<T: 'static> ip_name_lookup::HostWithStore<T> for HasSystem {
    async fn resolve_addresses(
        store: &Accessor<T, Self>,
        name: String,
    ) -> wasmtime::Result<Result<Vec<IpAddress>, ip_name_lookup::ErrorCode>> {
        use ip_name_lookup::ErrorCode;

        let Some(wanted) = Wanted::of(&name) else {
            return Ok(Err(ErrorCode::InvalidArgument));
        };
        let gate = store.with(|mut access| access.get().sockets.gate.clone());
        if !gate.allows_look_up(&wanted) {
            return Ok(Err(ErrorCode::AccessDenied));
        }
        let name = match wanted {
            Wanted::Address(address) => return Ok(Ok(vec![address.into()])),
            Wanted::Name(name) => name,
        };
        Ok(match spawn_blocking(move || gate.look_up(&name)).await {
            Ok(Some(found)) => Ok(found.into_iter().map(IpAddress::from).collect()),
            Ok(None) => Err(ErrorCode::AccessDenied),
            // The standard library does not tell more.
            Err(_) => Err(ErrorCode::NameUnresolvable),
        })
    }
}
