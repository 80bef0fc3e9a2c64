//! `wasi:sockets/ip-name-lookup`.

use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::vec::IntoIter;

use wasmtime::component::Resource;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::{
    Host, HostResolveAddressStream, ResolveAddressStream,
};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddress, Network};
use wasmtime_wasi::p2::{DynPollable, Pollable, SocketResult, subscribe};
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, spawn_blocking};

use super::Wanted;
use crate::handles::{inner, outer};
use crate::view::NetworkViewMut;

/// What a name is looked up by, and then its addresses.
pub(crate) enum LookUp {
    Runs(AbortOnDropJoinHandle<Result<Vec<IpAddr>, ErrorCode>>),
    Over(Result<IntoIter<IpAddr>, ErrorCode>),
}

impl LookUp {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<&mut Result<IntoIter<IpAddr>, ErrorCode>> {
        if let LookUp::Runs(task) = self {
            match Pin::new(task).poll(cx) {
                Poll::Ready(found) => *self = LookUp::Over(found.map(Vec::into_iter)),
                Poll::Pending => return Poll::Pending,
            }
        }
        match self {
            LookUp::Runs(_) => Poll::Pending,
            LookUp::Over(found) => Poll::Ready(found),
        }
    }
}

#[async_trait]
impl Pollable for LookUp {
    async fn ready(&mut self) {
        std::future::poll_fn(|cx| self.poll(cx).map(drop)).await;
    }
}

impl Host for NetworkViewMut<'_> {
    fn resolve_addresses(
        &mut self,
        network: Resource<Network>,
        name: String,
    ) -> SocketResult<Resource<ResolveAddressStream>> {
        // That the guest has it is what lets it ask.
        self.theirs.table.get(&network)?;

        let wanted = Wanted::of(&name).ok_or(ErrorCode::InvalidArgument)?;
        let gate = self.sockets.gate.clone();
        if !gate.allows_look_up(&wanted) {
            return Err(ErrorCode::AccessDenied.into());
        }
        let look_up = match wanted {
            Wanted::Address(address) => LookUp::Over(Ok(vec![address].into_iter())),
            Wanted::Name(name) => LookUp::Runs(spawn_blocking(move || match gate.look_up(&name) {
                Ok(Some(found)) => Ok(found),
                Ok(None) => Err(ErrorCode::AccessDenied),
                // The standard library does not tell more.
                Err(_) => Err(ErrorCode::NameUnresolvable),
            })),
        };
        Ok(outer(self.theirs.table.push(look_up)?))
    }
}

impl HostResolveAddressStream for NetworkViewMut<'_> {
    fn resolve_next_address(
        &mut self,
        look_up: Resource<ResolveAddressStream>,
    ) -> SocketResult<Option<IpAddress>> {
        let look_up = self.theirs.table.get_mut(&inner(&look_up))?;
        match look_up.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => Err(ErrorCode::WouldBlock.into()),
            Poll::Ready(Ok(found)) => Ok(found.next().map(IpAddress::from)),
            Poll::Ready(Err(error)) => Err((*error).into()),
        }
    }

    fn subscribe(
        &mut self,
        look_up: Resource<ResolveAddressStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.theirs.table, inner(&look_up))
    }

    fn drop(&mut self, look_up: Resource<ResolveAddressStream>) -> wasmtime::Result<()> {
        self.theirs.table.delete(inner(&look_up))?;
        Ok(())
    }
}

impl Wanted {
    /// What a guest means, as URLs have it: `0x7f.1` is an address as well, and a name in Unicode is one in ASCII.
    pub(crate) fn of(name: &str) -> Option<Self> {
        if let Ok(address) = name.parse::<Ipv6Addr>() {
            return Some(Wanted::Address(address.into()));
        }
        Some(match url::Host::parse(name).ok()? {
            url::Host::Domain(name) => Wanted::Name(name),
            url::Host::Ipv4(address) => Wanted::Address(address.into()),
            url::Host::Ipv6(address) => Wanted::Address(address.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_an_address_is_one() {
        for name in ["127.0.0.1", "0x7f.1", "2130706433", "0177.0.0.1", "127.1"] {
            let loopback = Wanted::Address([127, 0, 0, 1].into());
            assert_eq!(Wanted::of(name), Some(loopback), "{name}");
        }
        for name in ["::1", "[::1]"] {
            assert_eq!(
                Wanted::of(name),
                Some(Wanted::Address(Ipv6Addr::LOCALHOST.into()))
            );
        }
        let name = Wanted::Name("xn--bcher-kva.example".into());
        assert_eq!(Wanted::of("BÜCHER.example"), Some(name));
        assert_eq!(Wanted::of("a b"), None);
    }
}
