//! The functions: which there are, and what a call does beyond what wasmtime-wasi does.

use std::cell::UnsafeCell;
use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use wasmrun_core::guest::{Import, ValueType};
use wasmrun_core::{Control, ErrorKind, Guest, HostFunctions, Interrupt, WasiVersion};
use wasmrun_wasi_preview1::{
    FUNCTIONS, GuestMemory, Imported, Stop, Wasi, World, find, imported, preview1, unstable,
};
use wasmtime::{Engine, Extern, Linker, Store};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::p1::WasiP1Ctx;

type Types = (Vec<ValueType>, Vec<ValueType>);

/// Every function that wasmtime-wasi generated from the witx of a module, with its types.
fn generated(
    link: impl FnOnce(&mut Linker<WasiP1Ctx>) -> wasmtime::Result<()>,
) -> BTreeMap<String, Types> {
    let engine = Engine::default();
    let mut linker = Linker::new(&engine);
    link(&mut linker).expect("the functions are linked");
    let mut store = Store::new(&engine, WasiCtxBuilder::new().build_p1());
    let functions: Vec<_> = linker
        .iter(&mut store)
        .map(|(_, name, function)| (name.to_owned(), function))
        .collect();
    let value_type = |ty| match ty {
        wasmtime::ValType::I32 => ValueType::I32,
        wasmtime::ValType::I64 => ValueType::I64,
        other => panic!("{other} in WASI"),
    };
    functions
        .into_iter()
        .map(|(name, function)| {
            let Extern::Func(function) = function else {
                panic!("{name} is no function");
            };
            let ty = function.ty(&store);
            let types = (
                ty.params().map(value_type).collect(),
                ty.results().map(value_type).collect(),
            );
            (name, types)
        })
        .collect()
}

fn listed(module: &str) -> BTreeMap<String, Types> {
    FUNCTIONS
        .iter()
        .filter(|function| function.module == module)
        .map(|function| {
            let types = (
                function.params.to_vec(),
                function.result.into_iter().collect(),
            );
            (function.name.to_owned(), types)
        })
        .collect()
}

#[test]
fn the_table_has_exactly_the_functions_of_both_modules() {
    use wasmtime_wasi::{p0, p1};
    let preview1_functions = generated(|linker| p1::add_to_linker_sync(linker, |context| context));
    assert_eq!(preview1_functions.len(), 46);
    assert_eq!(listed(preview1::MODULE), preview1_functions);
    let unstable_functions = generated(|linker| p0::add_to_linker_sync(linker, |context| context));
    assert_eq!(listed(unstable::MODULE), unstable_functions);
    assert_eq!(
        FUNCTIONS.len(),
        preview1_functions.len() + unstable_functions.len()
    );
}

#[test]
fn core_knows_every_function_as_part_of_wasi() {
    for module in [preview1::MODULE, unstable::MODULE] {
        let imports: String = listed(module)
            .keys()
            .map(|name| format!("(import {module:?} {name:?} (func))"))
            .collect();
        let guest = Guest::from_bytes("guest", format!("(module {imports})")).expect("a guest");
        assert_eq!(guest.unknown_imports(), Vec::<&Import>::new());
        let version = match module {
            preview1::MODULE => WasiVersion::Preview1,
            _ => WasiVersion::Unstable,
        };
        assert_eq!(guest.wasi(), version);
    }
    assert!(find(unstable::MODULE, "sock_accept").is_none());
}

#[test]
fn what_a_guest_imports_is_found_by_name_and_type() {
    let guest = |import: &str| {
        let text = format!(r#"(module (import "wasi_snapshot_preview1" {import}))"#);
        Guest::from_bytes("guest", text).expect("a guest")
    };
    let exit = guest(r#""proc_exit" (func (param i32))"#);
    let none = HostFunctions::new();
    let found = imported(&exit, &none).expect("as it is");
    assert!(matches!(&found[..], [Imported::Wasi(function)] if function.name == "proc_exit"));
    let own = none
        .clone()
        .replace("wasi_snapshot_preview1", "proc_exit", |_: i32| ());
    let found = imported(&exit, &own).expect("as it is");
    assert!(matches!(&found[..], [Imported::Host(_)]));
    for (import, words) in [
        (r#""proc_exit" (func (param i64))"#, "with that type"),
        (r#""proc_exit" (func (param i32 i32))"#, "with that type"),
        (r#""sched_yield" (func)"#, "with that type"),
        (r#""sched_yield" (func (result f32))"#, "with that type"),
        (r#""proc_exit" (global i32)"#, "does not have"),
        (r#""sock_open" (func)"#, "does not have"),
    ] {
        let error = imported(&guest(import), &none).expect_err(import);
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{import}");
        assert!(error.to_string().contains(words), "{import}: {error}");
    }
}

fn wasi(control: &Control) -> Wasi {
    Wasi::new(&[], &World::new(Vec::new()), control.clone())
}

/// Calls a function of both modules on a memory of one page.
fn call(
    wasi: &mut Wasi,
    module: &str,
    name: &str,
    memory: &mut [u8],
    args: &[u64],
) -> Result<Option<i32>, Stop> {
    let function = find(module, name).expect("a function of WASI");
    (function.call)(wasi, &mut GuestMemory::Unshared(memory), args)
}

#[test]
fn an_exit_code_arrives_whole() {
    for code in [0, 1, 42, 126, 200, 256, -1, i32::MIN] {
        for module in [preview1::MODULE, unstable::MODULE] {
            let stopped = call(
                &mut wasi(&Control::new()),
                module,
                "proc_exit",
                &mut [],
                &[code as u32 as u64],
            );
            assert_eq!(stopped, Err(Stop::Exit(code)));
        }
    }
}

#[test]
fn a_pointer_out_of_bounds_is_a_trap_and_a_wrong_descriptor_an_errno() {
    let wasi = &mut wasi(&Control::new());
    let memory = &mut [0; 64];
    let traps = call(
        wasi,
        preview1::MODULE,
        "clock_time_get",
        memory,
        &[0, 0, 60],
    );
    assert!(matches!(traps, Err(Stop::Trap(_))), "{traps:?}");
    let traps = call(wasi, preview1::MODULE, "random_get", &mut [], &[0, 1]);
    assert!(matches!(traps, Err(Stop::Trap(_))), "{traps:?}");
    const BADF: i32 = 8;
    assert_eq!(
        call(wasi, preview1::MODULE, "fd_close", memory, &[99]),
        Ok(Some(BADF))
    );
}

#[test]
fn a_wrong_number_of_arguments_is_told() {
    let told = call(
        &mut wasi(&Control::new()),
        preview1::MODULE,
        "fd_close",
        &mut [],
        &[],
    );
    assert_eq!(
        told,
        Err(Stop::Trap("wrong number of arguments for fd_close".into()))
    );
}

#[test]
fn a_call_after_an_interrupt_does_nothing() {
    let control = Control::new();
    control.interrupt(Interrupt::Kill);
    let called = call(
        &mut wasi(&control),
        preview1::MODULE,
        "sched_yield",
        &mut [],
        &[],
    );
    assert_eq!(called, Err(Stop::Interrupted(Interrupt::Kill)));
}

/// A subscription to a clock, as each module lays it out.
fn clock(module: &str, userdata: u64, clock: u32, timeout: u64, absolute: bool) -> Vec<u8> {
    // The older layout has an identifier of eight bytes before the rest of the clock.
    let rest = if module == preview1::MODULE { 16 } else { 24 };
    let mut bytes = vec![0; rest + 32];
    bytes[..8].copy_from_slice(&userdata.to_le_bytes());
    bytes[rest..rest + 4].copy_from_slice(&clock.to_le_bytes());
    bytes[rest + 8..rest + 16].copy_from_slice(&timeout.to_le_bytes());
    bytes[rest + 24] = absolute.into();
    bytes
}

const EVENTS: usize = 512;
const COUNT: usize = 1024;

fn poll(
    control: &Control,
    module: &str,
    subscriptions: &[Vec<u8>],
) -> (Result<Option<i32>, Stop>, Vec<u8>) {
    let mut memory = vec![0; 2048];
    let all = subscriptions.concat();
    memory[..all.len()].copy_from_slice(&all);
    let args = [0, EVENTS as u64, subscriptions.len() as u64, COUNT as u64];
    let result = call(
        &mut wasi(control),
        module,
        "poll_oneoff",
        &mut memory,
        &args,
    );
    if result.is_ok() {
        assert_eq!(memory[..all.len()], all, "what the guest asked for is kept");
    }
    (result, memory)
}

#[test]
fn a_sleep_ends_with_one_event() {
    for module in [preview1::MODULE, unstable::MODULE] {
        for (clock_id, absolute) in [(0, false), (1, false), (1, true)] {
            let began = Instant::now();
            let timeout = Duration::from_millis(20).as_nanos() as u64;
            let (result, memory) = poll(
                &Control::new(),
                module,
                &[clock(module, 77, clock_id, timeout, absolute)],
            );
            assert_eq!(result, Ok(Some(0)));
            assert_eq!(
                memory[EVENTS..EVENTS + 11],
                [77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
            );
            assert_eq!(memory[COUNT..COUNT + 4], [1, 0, 0, 0]);
            assert!(absolute || began.elapsed() >= Duration::from_millis(20));
        }
    }
}

#[test]
fn of_several_subscriptions_the_first_due_ends_the_wait() {
    let year = 365 * 24 * 3600 * 1_000_000_000;
    for module in [preview1::MODULE, unstable::MODULE] {
        let subscriptions = [
            clock(module, 1, 1, year, false),
            clock(module, 2, 1, 1_000_000, false),
            clock(module, 3, 0, year, false),
        ];
        let (result, memory) = poll(&Control::new(), module, &subscriptions);
        assert_eq!(result, Ok(Some(0)));
        assert_eq!(memory[COUNT..COUNT + 4], [1, 0, 0, 0]);
        assert_eq!(memory[EVENTS], 2);
    }
}

#[test]
fn more_subscriptions_than_there_could_be_files_are_refused() {
    const NOMEM: i32 = 48;
    for module in [preview1::MODULE, unstable::MODULE] {
        let wasi = &mut wasi(&Control::new());
        for count in [4097, u32::MAX] {
            let args = [0, 0, u64::from(count), 0];
            assert_eq!(
                call(wasi, module, "poll_oneoff", &mut vec![0; 1 << 20], &args),
                Ok(Some(NOMEM))
            );
        }
    }
}

#[test]
fn as_many_random_bytes_as_asked_arrive() {
    let mut memory = vec![0; 80 << 20];
    let wasi = &mut wasi(&Control::new());
    for len in [0, 1, 65_536, 65_537, memory.len() as u64 - 3] {
        memory.fill(0);
        let args = [3, len];
        let called = call(wasi, preview1::MODULE, "random_get", &mut memory, &args);
        assert_eq!(called, Ok(Some(0)));
        let end = 3 + len as usize;
        for unasked in [&memory[..3], &memory[end..]] {
            assert!(unasked.iter().all(|byte| *byte == 0), "of {len}");
        }
        // None of so many is left out.
        for part in memory[3..end].chunks_exact(64) {
            assert!(part.iter().any(|byte| *byte != 0), "of {len}");
        }
    }
    for args in [
        [1, 80 << 20],
        [u64::from(u32::MAX), 1],
        [1, u64::from(u32::MAX)],
    ] {
        let called = call(wasi, preview1::MODULE, "random_get", &mut memory, &args);
        assert!(matches!(called, Err(Stop::Trap(_))), "{called:?}");
    }
}

#[test]
fn every_way_to_sleep_is_cut_short() {
    let year = 365 * 24 * 3600 * 1_000_000_000;
    for module in [preview1::MODULE, unstable::MODULE] {
        let relative = clock(module, 1, 1, year, false);
        let endless = clock(module, 1, 1, u64::MAX, false);
        let absolute = clock(module, 2, 1, year, true);
        let on_wall_clock = clock(module, 3, 0, u64::MAX, true);
        for subscriptions in [
            vec![relative.clone()],
            vec![endless],
            vec![absolute.clone()],
            vec![on_wall_clock],
            vec![relative, absolute],
        ] {
            let control = Control::new();
            let sleeping = control.clone();
            let sleeper = thread::spawn(move || poll(&sleeping, module, &subscriptions).0);
            // Most likely it sleeps by now; if not, it must not begin to.
            thread::sleep(Duration::from_millis(10));
            control.interrupt(Interrupt::Timeout);
            let slept = sleeper.join().expect("no panic");
            assert_eq!(slept, Err(Stop::Interrupted(Interrupt::Timeout)));
        }
    }
}

#[test]
fn an_event_that_cannot_be_written_is_a_trap() {
    let subscription = clock(preview1::MODULE, 1, 1, 0, false);
    for (events, count) in [(40, 0), (0, 46)] {
        let mut memory = subscription.clone();
        let args = [0, events, 1, count];
        let result = call(
            &mut wasi(&Control::new()),
            preview1::MODULE,
            "poll_oneoff",
            &mut memory,
            &args,
        );
        assert!(matches!(result, Err(Stop::Trap(_))), "{result:?}");
    }
}

#[test]
fn a_shared_memory_serves_as_well() {
    let memory: Vec<UnsafeCell<u8>> = (0..8).map(|_| UnsafeCell::new(0)).collect();
    let args = ["a", "bc"].map(String::from);
    let mut wasi = Wasi::new(&args, &World::new(Vec::new()), Control::new());
    let function = find(preview1::MODULE, "args_sizes_get").expect("a function of WASI");
    let called = (function.call)(&mut wasi, &mut GuestMemory::Shared(&memory), &[0, 4]);
    assert_eq!(called, Ok(Some(0)));
    let bytes: Vec<u8> = memory.into_iter().map(UnsafeCell::into_inner).collect();
    assert_eq!(bytes, [2, 0, 0, 0, 5, 0, 0, 0]);
}
