//! What is wasmtime-wasi's own.

use wasmtime::component::Resource;
use wasmtime_wasi::p2::SocketError;
use wasmtime_wasi::p2::bindings::sockets::network::{self, ErrorCode, Network};

use crate::view::NetworkViewMut;

/// Functions of a trait that do what wasmtime-wasi's do.
macro_rules! delegate {
    ($trait:ident: $(fn $name:ident($($param:ident: $type:ty),*) -> $result:ty;)*) => {
        $(fn $name(&mut self $(, $param: $type)*) -> $result {
            <WasiSocketsCtxView<'_> as $trait>::$name(&mut self.theirs $(, $param)*)
        })*
    };
}
pub(crate) use delegate;

impl network::Host for NetworkViewMut<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        network::Host::convert_error_code(&mut self.theirs, error)
    }

    fn network_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        network::Host::network_error_code(&mut self.theirs, error)
    }
}

impl network::HostNetwork for NetworkViewMut<'_> {
    fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
        network::HostNetwork::drop(&mut self.theirs, network)
    }
}
