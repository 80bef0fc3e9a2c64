//! Which devices a container may use, with version 2 of cgroups: there the kernel asks a program that is attached to the
//! cgroup, and libcontainer attaches one only with libbpf. With version 1 it writes the rules to files.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

use libcontainer::oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};

/// Lets the processes of a cgroup of version 2 use the devices that the rules allow, and those that runc allows each
/// container: making any, and using null, zero, full, random, urandom, tty, console, ptmx and the terminals of pts.
///
/// # Errors
///
/// A line, if a rule is not understood or the kernel does not take the program.
pub fn confine(cgroup: &Path, asked: &[LinuxDeviceCgroup]) -> Result<(), String> {
    let mut rules = asked.iter().map(Rule::of).collect::<Result<Vec<_>, _>>()?;
    rules.extend(DEFAULT);
    attach(cgroup, &program(&rules)).map_err(|error| {
        format!(
            "the devices of {} cannot be limited: {error}",
            cgroup.display()
        )
    })
}

/// As in `bpf_cgroup_dev_ctx` of linux/bpf.h.
const BLOCK: u32 = 1;
const CHARACTER: u32 = 2;
const MAKE: u32 = 1;
const READ: u32 = 2;
const WRITE: u32 = 4;
const ALL: u32 = MAKE | READ | WRITE;

/// What may be done, or not, with some devices. Of several that are about the same, the last holds.
#[derive(Clone, Copy)]
struct Rule {
    allow: bool,
    /// Block or character devices, or both.
    kind: Option<u32>,
    major: Option<u32>,
    minor: Option<u32>,
    access: u32,
}

/// The devices that runc lets every container use.
const DEFAULT: [Rule; 11] = [
    allowed(BLOCK, None, None, MAKE),
    allowed(CHARACTER, None, None, MAKE),
    allowed(CHARACTER, Some(1), Some(3), ALL),
    allowed(CHARACTER, Some(1), Some(5), ALL),
    allowed(CHARACTER, Some(1), Some(7), ALL),
    allowed(CHARACTER, Some(1), Some(8), ALL),
    allowed(CHARACTER, Some(1), Some(9), ALL),
    allowed(CHARACTER, Some(5), Some(0), ALL),
    allowed(CHARACTER, Some(5), Some(1), ALL),
    allowed(CHARACTER, Some(5), Some(2), ALL),
    allowed(CHARACTER, Some(136), None, ALL),
];

const fn allowed(kind: u32, major: Option<u32>, minor: Option<u32>, access: u32) -> Rule {
    Rule {
        allow: true,
        kind: Some(kind),
        major,
        minor,
        access,
    }
}

impl Rule {
    fn of(rule: &LinuxDeviceCgroup) -> Result<Rule, String> {
        let kind = match rule.typ().unwrap_or_default() {
            // Whatever else it says, as version 1 of cgroups has it.
            LinuxDeviceType::A => {
                return Ok(Rule {
                    allow: rule.allow(),
                    kind: None,
                    major: None,
                    minor: None,
                    access: ALL,
                });
            }
            LinuxDeviceType::B => BLOCK,
            LinuxDeviceType::C | LinuxDeviceType::U => CHARACTER,
            LinuxDeviceType::P => {
                return Err(
                    "a rule for devices has the type p, of pipes; expected a, b, c or u".into(),
                );
            }
        };
        let mut access = 0;
        for letter in rule.access().iter().flat_map(|access| access.chars()) {
            access |= match letter {
                'm' => MAKE,
                'r' => READ,
                'w' => WRITE,
                other => {
                    return Err(format!(
                        "a rule for devices has the access {other:?}; expected r, w or m"
                    ));
                }
            };
        }
        // All of them, if it is negative.
        let number = |number: Option<i64>| number.and_then(|number| u32::try_from(number).ok());
        Ok(Rule {
            allow: rule.allow(),
            kind: Some(kind),
            major: number(rule.major()),
            minor: number(rule.minor()),
            access,
        })
    }
}

/// `bpf_insn` of linux/bpf.h.
#[repr(C)]
#[derive(Clone, Copy)]
struct Instruction {
    code: u8,
    /// The register that is written or compared, and above it the one that is read.
    registers: u8,
    offset: i16,
    immediate: u32,
}

/// The registers: what is asked, as the kernel tells it; the answer; and what of that is taken apart.
const CONTEXT: u8 = 1;
const ANSWER: u8 = 0;
const KIND: u8 = 2;
const MAJOR: u8 = 3;
const MINOR: u8 = 4;
/// The kinds of access that no rule has allowed yet.
const LEFT: u8 = 5;

/// Codes of instructions, all for 32 bits.
const LOAD: u8 = 0x61;
const AND: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x74;
const SET: u8 = 0xb4;
const SKIP_UNLESS_EQUAL: u8 = 0x56;
const SKIP_IF_ANY_BIT: u8 = 0x46;
const SKIP: u8 = 0x05;
const EXIT: u8 = 0x95;

const fn instruction(code: u8, registers: u8, offset: i16, immediate: u32) -> Instruction {
    Instruction {
        code,
        registers,
        offset,
        immediate,
    }
}

/// Loads a field of what is asked.
const fn load(register: u8, offset: i16) -> Instruction {
    instruction(LOAD, CONTEXT << 4 | register, offset, 0)
}

const fn answer(allow: bool) -> [Instruction; 2] {
    [
        instruction(SET, ANSWER, 0, allow as u32),
        instruction(EXIT, 0, 0, 0),
    ]
}

/// The program that answers 1 if all that is asked is allowed. It goes through the rules from the last to the first, each about
/// the kinds of access that none has allowed yet.
fn program(rules: &[Rule]) -> Vec<Instruction> {
    let mut program = vec![
        load(KIND, 0),
        instruction(AND, KIND, 0, 0xffff),
        load(LEFT, 0),
        instruction(SHIFT_RIGHT, LEFT, 0, 16),
        load(MAJOR, 4),
        load(MINOR, 8),
    ];
    for rule in rules.iter().rev() {
        let conditions = [(KIND, rule.kind), (MAJOR, rule.major), (MINOR, rule.minor)];
        let mut of_rule: Vec<Instruction> = conditions
            .into_iter()
            .filter_map(|(register, value)| {
                Some(instruction(SKIP_UNLESS_EQUAL, register, 0, value?))
            })
            .collect();
        match rule.allow {
            true => of_rule.extend([
                instruction(AND, LEFT, 0, !rule.access),
                instruction(SKIP_IF_ANY_BIT, LEFT, 2, ALL),
            ]),
            false => of_rule.extend([
                instruction(SKIP_IF_ANY_BIT, LEFT, 1, rule.access),
                instruction(SKIP, 0, 2, 0),
            ]),
        }
        of_rule.extend(answer(rule.allow));
        // What is about another device goes on behind the rule.
        let mut behind = of_rule.len() as i16;
        for instruction in &mut of_rule {
            behind -= 1;
            if instruction.code == SKIP_UNLESS_EQUAL {
                instruction.offset = behind;
            }
        }
        program.extend(of_rule);
    }
    program.extend(answer(false));
    program
}

/// Of `bpf_cmd`, `bpf_prog_type`, `bpf_attach_type` and the flags in linux/bpf.h.
const LOAD_PROGRAM: libc::c_int = 5;
const ATTACH_PROGRAM: libc::c_int = 8;
const DETACH_PROGRAM: libc::c_int = 9;
const OPEN_BY_NUMBER: libc::c_int = 13;
const LIST_ATTACHED: libc::c_int = 16;
const FOR_DEVICES: u32 = 15;
const TO_DEVICES: u32 = 6;
const BESIDE_OTHERS: u32 = 2;

/// The beginning of `bpf_attr`, for loading a program.
#[repr(C)]
struct Loading {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
}

/// The same, for attaching and detaching one.
#[repr(C)]
struct Attaching {
    cgroup: RawFd,
    program: RawFd,
    place: u32,
    flags: u32,
}

/// The same, for listing those that are attached.
#[repr(C)]
struct Listing {
    cgroup: RawFd,
    place: u32,
    inherited: u32,
    flags: u32,
    numbers: u64,
    count: u32,
}

/// Has the kernel ask the program, and none that was attached before, for each device that a process of the cgroup uses. Programs
/// of the cgroups around it, such as systemd's, have to allow it too.
fn attach(cgroup: &Path, program: &[Instruction]) -> io::Result<()> {
    const LICENSE: &CStr = c"Apache-2.0";
    let cgroup = File::open(cgroup)?;
    let attached = attached(&cgroup)?;
    let program = open(
        LOAD_PROGRAM,
        &mut Loading {
            kind: FOR_DEVICES,
            count: program.len() as u32,
            instructions: program.as_ptr() as u64,
            license: LICENSE.as_ptr() as u64,
            log_level: 0,
            log_size: 0,
            log: 0,
        },
    )?;
    let about = |program: &OwnedFd, flags| Attaching {
        cgroup: cgroup.as_raw_fd(),
        program: program.as_raw_fd(),
        place: TO_DEVICES,
        flags,
    };
    bpf(ATTACH_PROGRAM, &mut about(&program, BESIDE_OTHERS))?;
    for earlier in attached {
        bpf(DETACH_PROGRAM, &mut about(&earlier, 0))?;
    }
    Ok(())
}

/// The programs that are attached to a cgroup itself.
fn attached(cgroup: &File) -> io::Result<Vec<OwnedFd>> {
    // As many as the kernel lets be attached.
    let mut numbers = [0u32; 64];
    let mut listing = Listing {
        cgroup: cgroup.as_raw_fd(),
        place: TO_DEVICES,
        inherited: 0,
        flags: 0,
        numbers: numbers.as_mut_ptr() as u64,
        count: numbers.len() as u32,
    };
    bpf(LIST_ATTACHED, &mut listing)?;
    let listed = numbers.iter_mut().take(listing.count as usize);
    listed.map(|number| open(OPEN_BY_NUMBER, number)).collect()
}

/// A call that opens a program.
#[expect(unsafe_code, reason = "the kernel gives a number")]
fn open<T>(call: libc::c_int, attributes: &mut T) -> io::Result<OwnedFd> {
    let descriptor = bpf(call, attributes)?;
    // SAFETY: the call has just opened it, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

#[expect(unsafe_code, reason = "no library at hand has the call")]
fn bpf<T>(call: libc::c_int, attributes: &mut T) -> io::Result<RawFd> {
    // SAFETY: the call reads and writes a struct of the size that is told, and what its pointers lead to, which the callers above
    // have: instructions and numbers, as many as they say, and a string. It keeps none of that.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, call, &raw mut *attributes, size_of::<T>()) };
    match result {
        ..0 => Err(io::Error::last_os_error()),
        descriptor => Ok(descriptor as RawFd),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::process::{Command, Stdio};

    use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
    use serde_json::{Value, json};

    use super::*;

    /// What a process may do with the device of the kernel's log, by these rules, one after the other.
    fn may(rules: &[Value]) -> Option<Vec<[bool; 4]>> {
        let mounts = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
        let root = mounts
            .into_iter()
            .find(|root| root.join("cgroup.controllers").exists())?;
        let cgroup = root.join(format!("wasmrun-devices-{}", std::process::id()));
        fs::create_dir(&cgroup).ok()?;
        let scratch = tempfile::tempdir().expect("a directory");
        let ways = ["mknod new c 1 11", ": <log", ": >log", ": <>log"];
        let try_ways = |rules: &Value| {
            let rules: Vec<LinuxDeviceCgroup> =
                serde_json::from_value(rules.clone()).expect("rules");
            confine(&cgroup, &rules).expect("root may");
            // The exit of a child may be told to the test of another module, which waits for any.
            ways.map(|way| {
                let script = format!(
                    "rm -f new; echo $$ >'{}/cgroup.procs'; {way} && echo yes",
                    cgroup.display()
                );
                let mut shell = Command::new("sh");
                shell
                    .args(["-c", &script])
                    .current_dir(&scratch)
                    .stdout(Stdio::piped())
                    .stderr(Stdio::null());
                let mut child = shell.spawn().expect("a shell");
                let mut said = String::new();
                child
                    .stdout
                    .take()
                    .expect("a pipe")
                    .read_to_string(&mut said)
                    .expect("text");
                child.wait().ok();
                said == "yes\n"
            })
        };
        let mode = Mode::from_raw_mode(0o600);
        mknodat(
            CWD,
            scratch.path().join("log"),
            FileType::CharacterDevice,
            mode,
            makedev(1, 11),
        )
        .expect("root may");
        let all = rules.iter().map(try_ways).collect();
        fs::remove_dir(&cgroup).expect("nobody is in it");
        Some(all)
    }

    #[test]
    fn the_last_rule_about_an_access_holds() {
        let none = json!({"allow": false, "access": "rwm"});
        let all = json!({"allow": true, "type": "a", "access": "rwm"});
        let log = |allow: bool, access: &str| json!({"allow": allow, "type": "c", "major": 1, "minor": 11, "access": access});
        let any = |allow: bool, access: &str| json!({"allow": allow, "type": "c", "major": 1, "access": access});
        let block = json!({"allow": true, "type": "b", "major": 1, "minor": 11, "access": "rwm"});
        let Some(may) = may(&[
            json!([]),
            json!([none]),
            json!([all]),
            json!([none, log(true, "r")]),
            json!([none, log(true, "r"), log(true, "w")]),
            json!([none, any(true, "rw"), log(false, "w")]),
            json!([all, any(false, "r")]),
            json!([none, block]),
            json!([log(true, "rw"), none]),
        ]) else {
            assert!(
                std::env::var_os("CI").is_none(),
                "no cgroup of version 2 can be made"
            );
            eprintln!(
                "WARNING: rules for devices were not tried: no cgroup of version 2 can be made"
            );
            return;
        };
        // Making, reading, writing, both.
        let expected = [
            [true, false, false, false],
            [true, false, false, false],
            [true, true, true, true],
            [true, true, false, false],
            [true, true, true, true],
            [true, true, false, false],
            [true, false, true, false],
            [true, false, false, false],
            [true, false, false, false],
        ];
        assert_eq!(may, expected);
    }

    #[test]
    fn rules_that_are_not_understood_are_refused() {
        for rule in [
            json!([{"allow": true, "type": "c", "access": "x"}]),
            json!([{"allow": true, "type": "p", "access": "r"}]),
        ] {
            let rules: Vec<LinuxDeviceCgroup> = serde_json::from_value(rule).expect("a rule");
            assert!(
                confine(Path::new("/nowhere"), &rules)
                    .expect_err("refused")
                    .contains("a rule for devices")
            );
        }
    }
}
