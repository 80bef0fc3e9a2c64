//! A component as wasmtime sees it: its core modules, and one list of what has to be done with them.

use wasmparser::{Validator, WasmFeatures};
use wasmrun_guest::{Guest, Result};
use wasmtime_environ::component::{
    Component, ComponentTypes, ComponentTypesBuilder, StaticModuleIndex, Trampoline,
    TrampolineIndex, Translator,
};
use wasmtime_environ::{ModuleTranslation, PrimaryMap, ScopeVec, Tunables};

use crate::refuse;

/// What the modules of a component may consist of: what the translator knows. Which of it an engine has is a question
/// of its own.
///
/// Of the component model it is what was there before WASI 0.3. The translator takes for granted that the rest is off
/// when nothing is to run at the same time as something else. And as soon as there may be exceptions, adapters catch them.
const FEATURES: WasmFeatures = WasmFeatures::WASM3
    .union(WasmFeatures::CUSTOM_PAGE_SIZES)
    .union(WasmFeatures::WIDE_ARITHMETIC)
    .union(WasmFeatures::COMPONENT_MODEL)
    .difference(WasmFeatures::EXCEPTIONS);

/// A component, nested ones instantiated and adapters between them made.
pub(crate) struct Translated<'a> {
    pub(crate) component: Component,
    pub(crate) trampolines: PrimaryMap<TrampolineIndex, Trampoline>,
    pub(crate) types: ComponentTypes,
    pub(crate) modules: PrimaryMap<StaticModuleIndex, ModuleTranslation<'a>>,
}

impl<'a> Translated<'a> {
    /// Translates a component that is valid, and that [`Guest`] has seen not to double in size over and over:
    /// the translator has no bound on what nested components become. Adapters are kept in `scope`.
    pub(crate) fn of(guest: &'a Guest, scope: &'a ScopeVec<u8>) -> Result<Self> {
        let with = |features| Translated::with(features, guest, scope);
        with(FEATURES).or_else(|_| with(FEATURES.union(WasmFeatures::EXCEPTIONS)))
    }

    fn with(features: WasmFeatures, guest: &'a Guest, scope: &'a ScopeVec<u8>) -> Result<Self> {
        let mut tunables = Tunables::default_u32();
        tunables.concurrency_support = false;
        tunables.parse_wasm_debuginfo = false;
        let mut validator = Validator::new_with_features(features);
        let mut types = ComponentTypesBuilder::new(&validator);
        let translator = Translator::new(&tunables, &mut validator, &mut types, scope);
        // It is valid, so it has something that the translator does not know.
        let (translation, modules) = translator
            .translate(guest.bytes())
            .map_err(|error| refuse(format!("{error:#}")))?;
        let (types, _) = types.finish(&translation.component);
        Ok(Translated {
            component: translation.component,
            trampolines: translation.trampolines,
            types,
            modules,
        })
    }
}
