//! containerd's task service: the lives of a pod's containers.

use std::collections::{HashMap, hash_map};
use std::fs;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard};
use std::thread;
use std::time::{Duration, SystemTime};

use containerd_shim::api::{
    CloseIORequest, ConnectRequest, ConnectResponse, CreateTaskRequest, CreateTaskResponse,
    DeleteRequest, DeleteResponse, Empty, ExecProcessRequest, KillRequest, PauseRequest,
    PidsRequest, PidsResponse, ResizePtyRequest, ResumeRequest, ShutdownRequest, StartRequest,
    StartResponse, StateRequest, StateResponse, StatsRequest, StatsResponse, Status,
    UpdateTaskRequest, WaitRequest, WaitResponse,
};
use containerd_shim::protos::events::task::{
    TaskCreate, TaskDelete, TaskExit, TaskIO, TaskOOM, TaskPaused, TaskResumed, TaskStart,
};
use containerd_shim::protos::protobuf::well_known_types::timestamp::Timestamp;
use containerd_shim::protos::ttrpc::{self, Code, get_status};
use containerd_shim::protos::types::task::ProcessInfo;
use containerd_shim::{ExitSignal, Task, TtrpcContext, TtrpcResult};
use libcontainer::oci_spec::runtime::LinuxResources;
use log::{info, warn};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process, pidfd_send_signal};

use crate::children::{Children, Exit};
use crate::create::{Create, Created};
use crate::events::Events;
use crate::options::Options;
use crate::rootfs::RootMount;
use crate::stdio::Held;
use crate::steps::{self, CREATE, DELETE, START, There};

/// How long a container whose program never began may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// How soon a shim that was started hears of its first container, or finds its bundle gone.
const FORGOTTEN: Duration = Duration::from_secs(5);

/// The service.
pub struct Service {
    containers: Arc<RwLock<HashMap<String, Entry>>>,
    children: Arc<Children>,
    events: Events,
    namespace: String,
    containerd: PathBuf,
    exit: Arc<ExitSignal>,
}

#[derive(Clone)]
enum Entry {
    Creation(Arc<Creation>),
    Container(Arc<Container>),
}

/// A container that is being made.
#[derive(Default)]
struct Creation {
    state: Mutex<CreationState>,
    changed: Condvar,
}

#[derive(Default)]
struct CreationState {
    /// The process that makes it.
    maker: Option<OwnedFd>,
    given_up: bool,
    over: bool,
}

impl Creation {
    fn state(&self) -> MutexGuard<'_, CreationState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This process makes it.
    fn begun(&self, maker: OwnedFd) {
        let mut state = self.state();
        if state.given_up {
            // It may have ended by itself.
            let _ = pidfd_send_signal(&maker, Signal::KILL);
        }
        state.maker = Some(maker);
    }

    /// Nobody wants it any more. Returns when nothing of it is left.
    fn give_up(&self) {
        let mut state = self.state();
        state.given_up = true;
        if let Some(maker) = &state.maker {
            let _ = pidfd_send_signal(maker, Signal::KILL);
        }
        let over = self.changed.wait_while(state, |state| !state.over);
        drop(over.unwrap_or_else(PoisonError::into_inner));
    }

    fn over(&self) {
        self.state().over = true;
        self.changed.notify_all();
    }
}

/// A container that was made.
struct Container {
    there: There,
    made: Created,
    streams: [String; 3],
    life: Mutex<Life>,
    changed: Condvar,
}

struct Life {
    phase: Phase,
    exit: Option<Exit>,
    /// Until it has ended.
    held: Option<Held>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Created,
    /// Its program is about to begin.
    Starting,
    Started,
    Paused,
    Deleting,
}

impl Container {
    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it has ended.
    fn exit(&self) -> Exit {
        let mut life = self.life();
        loop {
            match life.exit {
                Some(exit) => return exit,
                None => {
                    life = self
                        .changed
                        .wait(life)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    fn pid(&self) -> u32 {
        self.made.pid.unsigned_abs()
    }

    /// Sends a signal to the first process, or to all. What has ended needs none.
    fn signal(&self, signal: i32, all: bool) -> Result<(), String> {
        let pids = match all {
            true => self.made.cgroups.processes()?,
            false => vec![self.made.pid],
        };
        let signal =
            Signal::from_named_raw(signal).ok_or_else(|| format!("there is no signal {signal}"))?;
        // With the lock held: the first process is waited for by who takes it to tell of its end, and its number is its own
        // until then.
        let life = self.life();
        if life.exit.is_some() && !all {
            return Err("the process has ended".into());
        }
        for pid in pids {
            let Some(pid) = Pid::from_raw(pid) else {
                continue;
            };
            match kill_process(pid, signal) {
                Ok(()) | Err(Errno::SRCH) => {}
                Err(error) => {
                    return Err(format!("cannot send a signal to process {pid}: {error}"));
                }
            }
        }
        Ok(())
    }

    /// What is told of its end.
    fn told(&self, exit: Exit) -> TaskExit {
        TaskExit {
            container_id: self.there.id.clone(),
            id: self.there.id.clone(),
            pid: self.pid(),
            exit_status: exit.code,
            exited_at: Some(timestamp(exit.at)).into(),
            ..TaskExit::default()
        }
    }
}

impl Service {
    pub fn new(
        children: Arc<Children>,
        events: Events,
        namespace: String,
        containerd: PathBuf,
        exit: Arc<ExitSignal>,
    ) -> Self {
        Service {
            containers: Arc::default(),
            children,
            events,
            namespace,
            containerd,
            exit,
        }
    }

    /// Ends the shim if no container comes and its bundle goes: containerd forgets one that it has started and then has no room
    /// on the disk to write down.
    pub fn end_if_forgotten(&self, bundle: PathBuf, socket: PathBuf) -> std::io::Result<()> {
        let (containers, exit) = (Arc::clone(&self.containers), Arc::clone(&self.exit));
        let forgotten = move || {
            thread::sleep(FORGOTTEN);
            let containers = containers.read().unwrap_or_else(PoisonError::into_inner);
            if containers.is_empty() && !bundle.exists() {
                // The file that says where it is went with the bundle.
                if let Err(error) = fs::remove_file(&socket) {
                    warn!("{} stays: {error}", socket.display());
                }
                exit.signal();
            }
        };
        let thread = thread::Builder::new().name("forgotten".into());
        thread.spawn(forgotten).map(drop)
    }

    fn container(&self, id: &str) -> TtrpcResult<Arc<Container>> {
        let containers = self
            .containers
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        match containers.get(id) {
            Some(Entry::Container(container)) => Ok(Arc::clone(container)),
            Some(Entry::Creation(_)) => Err(failed(
                Code::FAILED_PRECONDITION,
                format!("{id} is being created"),
            )),
            None => Err(failed(
                Code::NOT_FOUND,
                format!("there is no container {id}"),
            )),
        }
    }

    fn all(&self) -> RwLockWriteGuard<'_, HashMap<String, Entry>> {
        self.containers
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A container that is being made is given up. If it was made before that was heard of, it is there then.
    fn give_up_creation(&self, id: &str) {
        let entry = self.all().get(id).cloned();
        if let Some(Entry::Creation(creation)) = entry {
            creation.give_up();
        }
    }

    fn make(
        &self,
        request: &CreateTaskRequest,
        creation: &Creation,
    ) -> Result<Arc<Container>, String> {
        if request.terminal {
            return Err("a terminal is not offered: a guest's streams are pipes; create the container without one".into());
        }
        if !request.checkpoint.is_empty() || !request.parent_checkpoint.is_empty() {
            return Err("checkpoints are not offered".into());
        }
        let options = Options::of(request.options.as_ref())?;
        let streams = [&request.stdin, &request.stdout, &request.stderr].map(String::clone);
        let held = Held::open(&streams[0], [&streams[1], &streams[2]])?;
        let there = There {
            bundle: request.bundle.clone().into(),
            id: request.id.clone(),
        };
        let mounts = request.rootfs.iter().map(|mount| RootMount {
            kind: mount.type_.clone(),
            source: mount.source.clone(),
            options: mount.options.clone(),
        });
        let asked = Create {
            there: there.clone(),
            namespace: self.namespace.clone(),
            containerd: self.containerd.clone(),
            streams: streams.clone(),
            systemd: options.systemd_cgroup,
            rootfs: mounts.collect(),
        };
        let expecting = self.children.expect();
        let made = steps::take::<_, Created>(&self.children, CREATE, &asked, |maker| {
            creation.begun(maker);
        });
        let made = made.inspect_err(|_| {
            if let Err(error) = steps::take::<_, ()>(&self.children, DELETE, &there, drop) {
                warn!(
                    "{} was not removed after it could not be created: {error}",
                    there.id
                );
            }
        })?;
        let container = Arc::new(Container {
            there,
            made,
            streams,
            life: Mutex::new(Life {
                phase: Phase::Created,
                exit: None,
                held: Some(held),
            }),
            changed: Condvar::new(),
        });
        let (ending, events) = (Arc::clone(&container), self.events.clone());
        self.children.on_exit(container.made.pid, move |exit| {
            ended(&ending, &events, exit)
        });
        drop(expecting);
        Ok(container)
    }

    fn begin(&self, container: &Container) -> Result<(), String> {
        {
            let mut life = container.life();
            match life.phase {
                Phase::Created if life.exit.is_none() => life.phase = Phase::Starting,
                Phase::Created => {
                    return Err("its process was ended before its program began".into());
                }
                _ => return Err("it was started before".into()),
            }
            if let Some(held) = &mut life.held {
                held.leave_stdin();
            }
        }
        let started = self.step(container, START, steps::start_without_hooks);
        let mut life = container.life();
        if let Err(error) = started {
            life.phase = Phase::Created;
            return Err(error);
        }
        life.phase = Phase::Started;
        self.events.tell(TaskStart {
            container_id: container.there.id.clone(),
            pid: container.pid(),
            ..TaskStart::default()
        });
        // It may have ended meanwhile, which is to be told after its beginning.
        if let Some(exit) = life.exit {
            self.events.tell(container.told(exit));
        }
        Ok(())
    }

    /// Takes a step of a container that was made: by a process of its own if hooks are run, else here.
    fn step(
        &self,
        container: &Container,
        name: &str,
        here: fn(&There) -> Result<(), String>,
    ) -> Result<(), String> {
        match container.made.has_hooks {
            true => steps::take(&self.children, name, &container.there, drop),
            false => steps::take_here(&container.there, here),
        }
    }

    fn remove(&self, container: &Container) -> Result<Exit, String> {
        let (phase, exit) = {
            let life = container.life();
            (life.phase, life.exit)
        };
        let exit = match (exit, phase) {
            (Some(exit), _) => exit,
            (None, Phase::Created) => {
                container.signal(libc::SIGKILL, true)?;
                let life = container.life();
                let (life, _) = container
                    .changed
                    .wait_timeout_while(life, PATIENCE, |life| life.exit.is_none())
                    .unwrap_or_else(PoisonError::into_inner);
                life.exit.ok_or("its process does not end")?
            }
            (None, _) => return Err("it is running; stop it first".into()),
        };
        container.life().phase = Phase::Deleting;
        self.step(container, DELETE, steps::delete)?;
        Ok(exit)
    }
}

/// Keeps how a container ended, and tells of it.
fn ended(container: &Container, events: &Events, exit: Exit) {
    info!("{} ended with {}", container.there.id, exit.code);
    let mut life = container.life();
    life.exit = Some(exit);
    // Its readers find the end of its streams.
    life.held = None;
    if exit.signal == Some(libc::SIGKILL) && container.made.cgroups.killed_for_memory() > 0 {
        events.tell(TaskOOM {
            container_id: container.there.id.clone(),
            ..TaskOOM::default()
        });
    }
    if matches!(life.phase, Phase::Started | Phase::Paused) {
        events.tell(container.told(exit));
    }
    container.changed.notify_all();
}

impl Task for Service {
    fn create(
        &self,
        _: &TtrpcContext,
        request: CreateTaskRequest,
    ) -> TtrpcResult<CreateTaskResponse> {
        let id = request.id.clone();
        let creation = Arc::new(Creation::default());
        match self.all().entry(id.clone()) {
            hash_map::Entry::Occupied(_) => {
                return Err(failed(
                    Code::ALREADY_EXISTS,
                    format!("the container {id} exists"),
                ));
            }
            hash_map::Entry::Vacant(free) => {
                free.insert(Entry::Creation(Arc::clone(&creation)));
            }
        }
        let made = self.make(&request, &creation);
        match &made {
            Ok(container) => self
                .all()
                .insert(id.clone(), Entry::Container(Arc::clone(container))),
            Err(_) => self.all().remove(&id),
        };
        creation.over();
        let pid = made.map_err(|error| failed(Code::UNKNOWN, error))?.pid();
        self.events.tell(TaskCreate {
            container_id: id,
            bundle: request.bundle,
            rootfs: request.rootfs,
            io: Some(TaskIO {
                stdin: request.stdin,
                stdout: request.stdout,
                stderr: request.stderr,
                terminal: false,
                ..TaskIO::default()
            })
            .into(),
            pid,
            ..TaskCreate::default()
        });
        Ok(CreateTaskResponse {
            pid,
            ..CreateTaskResponse::default()
        })
    }

    fn start(&self, _: &TtrpcContext, request: StartRequest) -> TtrpcResult<StartResponse> {
        of_the_container(&request.exec_id)?;
        let container = self.container(&request.id)?;
        self.begin(&container)
            .map_err(|error| about(&request.id, &error))?;
        Ok(StartResponse {
            pid: container.pid(),
            ..StartResponse::default()
        })
    }

    fn delete(&self, _: &TtrpcContext, request: DeleteRequest) -> TtrpcResult<DeleteResponse> {
        of_the_container(&request.exec_id)?;
        self.give_up_creation(&request.id);
        let container = self.container(&request.id)?;
        let exit = self
            .remove(&container)
            .map_err(|error| about(&request.id, &error))?;
        self.all().remove(&request.id);
        let (pid, exited_at) = (container.pid(), Some(timestamp(exit.at)));
        self.events.tell(TaskDelete {
            container_id: request.id,
            pid,
            exit_status: exit.code,
            exited_at: exited_at.clone().into(),
            ..TaskDelete::default()
        });
        Ok(DeleteResponse {
            pid,
            exit_status: exit.code,
            exited_at: exited_at.into(),
            ..DeleteResponse::default()
        })
    }

    fn state(&self, _: &TtrpcContext, request: StateRequest) -> TtrpcResult<StateResponse> {
        of_the_container(&request.exec_id)?;
        let container = self.container(&request.id)?;
        let life = container.life();
        let status = match (life.exit, life.phase) {
            (Some(_), _) => Status::STOPPED,
            (None, Phase::Created | Phase::Starting) => Status::CREATED,
            (None, Phase::Paused) => Status::PAUSED,
            (None, Phase::Started | Phase::Deleting) => Status::RUNNING,
        };
        let [stdin, stdout, stderr] = container.streams.clone();
        Ok(StateResponse {
            id: request.id,
            bundle: container.there.bundle.display().to_string(),
            pid: container.pid(),
            status: status.into(),
            stdin,
            stdout,
            stderr,
            exit_status: life.exit.map_or(0, |exit| exit.code),
            exited_at: life.exit.map(|exit| timestamp(exit.at)).into(),
            ..StateResponse::default()
        })
    }

    fn wait(&self, _: &TtrpcContext, request: WaitRequest) -> TtrpcResult<WaitResponse> {
        of_the_container(&request.exec_id)?;
        let exit = self.container(&request.id)?.exit();
        Ok(WaitResponse {
            exit_status: exit.code,
            exited_at: Some(timestamp(exit.at)).into(),
            ..WaitResponse::default()
        })
    }

    fn kill(&self, _: &TtrpcContext, request: KillRequest) -> TtrpcResult<Empty> {
        of_the_container(&request.exec_id)?;
        if request.signal == libc::SIGKILL.unsigned_abs() {
            self.give_up_creation(&request.id);
        }
        let container = self.container(&request.id)?;
        if container.life().exit.is_some() {
            // As runc's shim says it, which clients take for done.
            return Err(failed(Code::NOT_FOUND, "process already finished".into()));
        }
        let signal = i32::try_from(request.signal).unwrap_or(0);
        container
            .signal(signal, request.all)
            .map_err(|error| about(&request.id, &error))?;
        let is_frozen = container.life().phase == Phase::Paused;
        // What is frozen does not even die.
        if is_frozen && signal == libc::SIGKILL {
            container
                .made
                .cgroups
                .freeze(false)
                .map_err(|error| about(&request.id, &error))?;
        }
        Ok(Empty::new())
    }

    fn pids(&self, _: &TtrpcContext, request: PidsRequest) -> TtrpcResult<PidsResponse> {
        let container = self.container(&request.id)?;
        let all = container.made.cgroups.processes();
        let all = all.map_err(|error| about(&request.id, &error))?;
        let processes = all.into_iter().map(|pid| ProcessInfo {
            pid: pid.unsigned_abs(),
            ..ProcessInfo::default()
        });
        Ok(PidsResponse {
            processes: processes.collect(),
            ..PidsResponse::default()
        })
    }

    fn pause(&self, _: &TtrpcContext, request: PauseRequest) -> TtrpcResult<Empty> {
        let container = self.container(&request.id)?;
        let mut life = container.life();
        if life.exit.is_some() || life.phase != Phase::Started {
            return Err(about(&request.id, "only what runs can be paused"));
        }
        let frozen = container.made.cgroups.freeze(true);
        frozen.map_err(|error| about(&request.id, &error))?;
        life.phase = Phase::Paused;
        self.events.tell(TaskPaused {
            container_id: request.id,
            ..TaskPaused::default()
        });
        Ok(Empty::new())
    }

    fn resume(&self, _: &TtrpcContext, request: ResumeRequest) -> TtrpcResult<Empty> {
        let container = self.container(&request.id)?;
        let mut life = container.life();
        if life.phase != Phase::Paused {
            return Err(about(&request.id, "it is not paused"));
        }
        let thawed = container.made.cgroups.freeze(false);
        thawed.map_err(|error| about(&request.id, &error))?;
        life.phase = Phase::Started;
        self.events.tell(TaskResumed {
            container_id: request.id,
            ..TaskResumed::default()
        });
        Ok(Empty::new())
    }

    fn stats(&self, _: &TtrpcContext, request: StatsRequest) -> TtrpcResult<StatsResponse> {
        let container = self.container(&request.id)?;
        let metrics = container.made.cgroups.metrics();
        Ok(StatsResponse {
            stats: Some(metrics.map_err(|error| about(&request.id, &error))?).into(),
            ..StatsResponse::default()
        })
    }

    fn update(&self, _: &TtrpcContext, request: UpdateTaskRequest) -> TtrpcResult<Empty> {
        let container = self.container(&request.id)?;
        let resources = request.resources.value.as_slice();
        let resources: LinuxResources = serde_json::from_slice(resources)
            .map_err(|error| about(&request.id, &format!("the resources: {error}")))?;
        let memory = resources.memory().as_ref();
        if container.made.is_guest && memory.is_some_and(|memory| memory.limit().is_some()) {
            return Err(about(
                &request.id,
                "a guest's memory limit is set when it begins, and cannot be changed; create the container anew",
            ));
        }
        let updated = container.made.cgroups.update(&resources);
        updated.map_err(|error| about(&request.id, &error))?;
        Ok(Empty::new())
    }

    /// The end of its input is what a guest finds when containerd has closed it, and we keep none open.
    fn close_io(&self, _: &TtrpcContext, request: CloseIORequest) -> TtrpcResult<Empty> {
        self.container(&request.id)?;
        Ok(Empty::new())
    }

    fn exec(&self, _: &TtrpcContext, request: ExecProcessRequest) -> TtrpcResult<Empty> {
        let container = self.container(&request.id)?;
        let why = match container.made.is_guest {
            true => {
                "a WebAssembly program is one process, and no other can be started in it; probes can be of HTTP or TCP, and what is \
                 to be looked at can be in a container beside it"
            }
            false => {
                "this runtime starts no second process in a container; use runc's for a pod that needs it"
            }
        };
        Err(failed(
            Code::UNIMPLEMENTED,
            format!("exec in {} is refused: {why}", request.id),
        ))
    }

    fn resize_pty(&self, _: &TtrpcContext, request: ResizePtyRequest) -> TtrpcResult<Empty> {
        Err(about(&request.id, "it has no terminal"))
    }

    fn connect(&self, _: &TtrpcContext, request: ConnectRequest) -> TtrpcResult<ConnectResponse> {
        let container = self.container(&request.id)?;
        Ok(ConnectResponse {
            shim_pid: std::process::id(),
            task_pid: container.pid(),
            version: env!("CARGO_PKG_VERSION").into(),
            ..ConnectResponse::default()
        })
    }

    fn shutdown(&self, _: &TtrpcContext, request: ShutdownRequest) -> TtrpcResult<Empty> {
        let containers = self
            .containers
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if containers.is_empty() || request.now {
            self.exit.signal();
        }
        Ok(Empty::new())
    }
}

/// A time as containerd has it.
pub fn timestamp(at: SystemTime) -> Timestamp {
    let since = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanos: since.subsec_nanos().cast_signed(),
        ..Timestamp::default()
    }
}

/// There are no processes in a container beside its own.
fn of_the_container(exec_id: &str) -> TtrpcResult<()> {
    match exec_id {
        "" => Ok(()),
        id => Err(failed(
            Code::NOT_FOUND,
            format!("there is no process {id}: a container here has none but its first"),
        )),
    }
}

fn about(id: &str, error: &str) -> ttrpc::Error {
    failed(Code::FAILED_PRECONDITION, format!("{id}: {error}"))
}

fn failed(code: Code, error: String) -> ttrpc::Error {
    warn!("{error}");
    ttrpc::Error::RpcStatus(get_status(code, error))
}
