//! Engines that can do what a test says, so that choosing is tested without any real one.

use std::sync::Arc;

use wasmrun::{
    Capability, Code, Compile, Control, Engine, EngineInfo, Engines, Guest, Outcome, Place, Ran,
    Result, Stats, Support, Task,
};

/// A guest that any engine can run.
pub fn guest() -> Guest {
    Guest::from_bytes("app.wasm", r#"(module (func (export "_start")))"#).expect("a guest")
}

/// What an engine is made unable to do.
type Lack = fn(&mut Capability);

/// Engines of these names, each unable to do something.
pub fn engines<const N: usize>(engines: [(&str, Lack); N]) -> Engines {
    let mut all = Engines::empty();
    for (name, lack) in engines {
        let mut capability = Capability::EVERYTHING;
        lack(&mut capability);
        all.register(Arc::new(Fake {
            info: EngineInfo {
                name: name.into(),
                version: "1.0".into(),
                place: Place::InProcess,
            },
            capability,
        }));
    }
    all
}

/// Lacks nothing.
pub fn nothing(_: &mut Capability) {}

/// Cannot limit memory.
pub fn memory(capability: &mut Capability) {
    capability.memory = Support::Unsupported;
}

/// Cannot limit memory or fuel.
pub fn memory_and_fuel(capability: &mut Capability) {
    memory(capability);
    capability.fuel = Support::Unsupported;
}

#[derive(Debug)]
struct Fake {
    info: EngineInfo,
    capability: Capability,
}

impl Engine for Fake {
    fn info(&self) -> &EngineInfo {
        &self.info
    }

    fn capability(&self) -> Capability {
        self.capability
    }

    fn compile(&self, _: Compile<'_>) -> Result<Arc<dyn Code>> {
        Ok(Arc::new(Returns))
    }
}

struct Returns;

impl Code for Returns {
    fn run(&self, task: Task, _: &Control) -> Result<Ran> {
        use wasmrun::stdio::Output;
        if let Output::Capture(stdout) = &task.stdout {
            let told = format!("{:?} {:?} {:?}", task.args, task.env, task.stdin);
            stdout.push(told.as_bytes());
        }
        Ok(Ran {
            outcome: Outcome::Exited(0),
            stats: Stats::default(),
        })
    }
}
