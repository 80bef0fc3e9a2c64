//! From a guest to code, with or without a cache.

use std::sync::Arc;

use crate::{
    CacheUse, Code, CodeCache, CodeKey, Compile, CompileOptions, Control, Engine, Error, ErrorKind,
    Guest, HostFunctions, Interrupt, Miss, Ran, Request, Result, Task, check, unwind,
};

/// How a program is to be compiled.
#[derive(Debug, Clone, Copy, Default)]
pub struct Compilation<'a> {
    pub(crate) cache: Option<&'a dyn CodeCache>,
    pub(crate) ahead: bool,
    pub(crate) control: Option<&'a Control>,
}

impl<'a> Compilation<'a> {
    /// Now, and to its end; nothing is kept.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes code that `cache` has kept, and otherwise lets it keep what was compiled. What a cache fails at is
    /// no error.
    #[must_use]
    pub fn cache(mut self, cache: &'a dyn CodeCache) -> Self {
        self.cache = Some(cache);
        self
    }

    /// For runs to come while nobody waits for this one: an engine whose compiler takes minutes, and that
    /// interprets meanwhile, compiles only so.
    #[must_use]
    pub fn ahead(mut self) -> Self {
        self.ahead = true;
        self
    }

    /// Lets `control` end the compiling: when its [time](Control::expire_after) is over, or it is
    /// [interrupted](Control::interrupt). Nothing goes on then, or is left behind.
    #[must_use]
    pub fn control(mut self, control: &'a Control) -> Self {
        self.control = Some(control);
        self
    }
}

/// Checks, and compiles or finds what was compiled.
pub(crate) fn make(
    engine: &dyn Engine,
    guest: &Guest,
    options: CompileOptions,
    asked: Request<'_>,
    how: Compilation<'_>,
) -> Result<(Guest, Arc<dyn Code>, Option<CacheUse>)> {
    let named = |error: Error| error.with_engine(&engine.info().name);
    let check = |guest: &Guest| {
        let refusals = check::refusals_of(engine, guest, asked);
        let refusal = refusals.into_iter().next();
        refusal.map_or(Ok(()), |refusal| {
            Err(named(refusal.into()).with_operation("check"))
        })
    };
    check(guest)?;
    let control = how.control;
    if let Some(reason) = control.and_then(Control::interrupted) {
        return Err(ended(reason));
    }
    let compile = || {
        let now = guest.read()?;
        if !guest.is_read() {
            // It may have changed since it became known.
            check(&now)?;
        }
        let guest = &now;
        let request = Compile {
            guest,
            options,
            control,
            host: asked.host,
        };
        let code = unwind::caught(|| engine.compile(request))
            .map_err(|error| named(error).with_operation("compile"))?;
        Ok((now, code))
    };
    match how.cache {
        None => compile().map(|(guest, code)| (guest, code, None)),
        Some(cache) => {
            let request = Compile {
                guest,
                options,
                control,
                host: asked.host,
            };
            find_or_compile(cache, engine, request, compile)
                .map(|(guest, code, cache)| (guest, code, Some(cache)))
        }
    }
}

/// The error of compiling that was ended.
pub(crate) fn ended(reason: Interrupt) -> Error {
    let why = match reason {
        Interrupt::Timeout => "ran out of time",
        Interrupt::Kill | Interrupt::Output => "was ended",
    };
    Error::new(ErrorKind::Interrupted, format!("compiling the guest {why}"))
}

/// Code that the compiler was not left the time to make.
pub(crate) struct Unfinished;

impl Code for Unfinished {
    fn run(&self, _: Task, _: &Control) -> Result<Ran> {
        Err(Error::new(
            ErrorKind::Interrupted,
            "the program was not compiled to its end, so it can only be run under the control that ended that",
        ))
    }
}

/// What code of `guest` depends on of the host: that its functions have these types. Code of a guest that imports
/// none depends on nothing.
fn types(guest: &Guest, host: &HostFunctions) -> Vec<u8> {
    let functions = guest.imports().iter();
    let functions = functions.filter_map(|import| host.of_import(import));
    let types = functions.flat_map(|function| format!("{function:?}\n").into_bytes());
    let mut types: Vec<u8> = types.collect();
    if host.has_interfaces() {
        for import in guest.imported_functions() {
            if let Some(function) = host.of_component(import) {
                types.extend(format!("{import}{function:?}\n").into_bytes());
            }
        }
    }
    types
}

/// Code for a guest that was checked: from the cache or, with the guest as it is now, compiled.
fn find_or_compile(
    cache: &dyn CodeCache,
    engine: &dyn Engine,
    request: Compile<'_>,
    compile: impl FnOnce() -> Result<(Guest, Arc<dyn Code>)>,
) -> Result<(Guest, Arc<dyn Code>, CacheUse)> {
    let Compile {
        guest,
        options,
        control,
        host,
    } = request;
    let identity_of = |guest| {
        let identity = engine.code_identity(Compile { guest, ..request })?;
        Ok::<_, Error>(identity.map(|mut identity| {
            identity.extend(types(guest, host));
            identity
        }))
    };
    let Some(identity) = identity_of(guest)? else {
        cache.pass_over(guest);
        let (guest, code) = compile()?;
        let (why, not_kept) = (Miss::NoArtifacts, None);
        return Ok((guest, code, CacheUse::Miss { why, not_kept }));
    };
    let key = CodeKey {
        guest,
        engine: engine.info(),
        options,
        identity: &identity,
    };
    let why = match cache.find(&key) {
        Ok(artifact) => match engine.load(request, artifact) {
            Ok(code) => return Ok((guest.clone(), code, CacheUse::Hit)),
            Err(error) => {
                tracing::warn!(?guest, ?error, "kept code was not loaded");
                cache.forget(&key);
                Miss::Rejected
            }
        },
        Err(why) => why,
    };
    let (guest, code) = compile()?;
    let kept = match (code.artifact(control), identity_of(&guest)) {
        (Ok(Some(artifact)), Ok(Some(identity))) => {
            let (guest, identity) = (&guest, &*identity);
            let key = CodeKey {
                guest,
                identity,
                ..key
            };
            let kept = cache.keep(&key, &artifact);
            if kept.is_ok()
                && let Ok(artifact) = cache.find(&key)
            {
                code.kept(&artifact);
            }
            kept
        }
        (Ok(_), Ok(_)) => Err(Miss::NoArtifacts.to_string()),
        (Err(error), _) | (_, Err(error)) => Err(error.to_string()),
    };
    let not_kept = kept.err();
    Ok((guest, code, CacheUse::Miss { why, not_kept }))
}
