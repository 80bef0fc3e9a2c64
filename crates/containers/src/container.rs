//! One container, and what can come of it.

use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant, SystemTime};

use wasmrun::{
    Attachments, Choice, Control, Error, ErrorKind, Interrupt, LiveStats, LockedWorkspace, Log,
    Program, Report, Result, Run, RunConfig, Workspaces,
};

use crate::events::{Happened, Happenings};
use crate::keeper::Agenda;
use crate::{ContainerStats, GuestRef, House, Info, Signal, Spec, State};

/// A container.
#[derive(Debug)]
pub(crate) struct Container {
    id: String,
    spec: Spec,
    created: SystemTime,
    pub(crate) log: Log,
    agenda: Arc<Agenda>,
    happenings: Arc<Happenings>,
    life: Mutex<Life>,
    changed: Condvar,
    /// Itself, for the keeper to be told of.
    this: Weak<Container>,
}

#[derive(Debug)]
struct Life {
    phase: Phase,
    /// By what it is to end, once somebody wants that: it is not started again.
    wanted: Option<Wanted>,
    engine: Option<String>,
    started: Option<SystemTime>,
    ended: Option<SystemTime>,
    restarts: u32,
    /// What the last run used.
    used: LiveStats,
    is_removed: bool,
}

#[derive(Debug, Clone, Copy)]
enum Wanted {
    Stop,
    Kill(Signal),
}

#[derive(Debug)]
enum Phase {
    Created,
    /// Its program is found and compiled, which that ends.
    Starting(Control),
    Running(Box<(Run, Ready)>),
    /// It ended like this, and is started again then.
    Pausing(State, Instant, Box<Ready>),
    Over(State),
}

/// All that it takes to run it, once more.
#[derive(Debug)]
struct Ready {
    program: Program,
    config: RunConfig,
    /// It is nobody else's meanwhile.
    _workspace: Option<LockedWorkspace>,
    /// How often in a row it was not long until it ended.
    in_a_row: u32,
}

impl Container {
    pub(crate) fn new(id: &str, spec: Spec, house: &House) -> Arc<Self> {
        Arc::new_cyclic(|this| Container {
            id: id.to_owned(),
            log: Log::new(spec.log_bytes()),
            spec,
            created: SystemTime::now(),
            agenda: house.agenda.clone(),
            happenings: house.happenings.clone(),
            life: Mutex::new(Life {
                phase: Phase::Created,
                wanted: None,
                engine: None,
                started: None,
                ended: None,
                restarts: 0,
                used: LiveStats::default(),
                is_removed: false,
            }),
            changed: Condvar::new(),
            this: this.clone(),
        })
    }

    pub(crate) fn start(&self, house: &House) -> Result<()> {
        let control = Control::new();
        {
            let mut life = self.life();
            self.is_there(&life)?;
            match life.phase {
                Phase::Created | Phase::Over(_) => {}
                Phase::Starting(_) | Phase::Running(_) | Phase::Pausing(..) => return Ok(()),
            }
            life.phase = Phase::Starting(control.clone());
            life.wanted = None;
            life.restarts = 0;
            self.log.go_on();
        }
        // The lock is free while it is compiled.
        let ready = self.ready(house, &control);
        let mut life = self.life();
        let started = ready.and_then(|ready| {
            life.engine = Some(ready.program.engine().info().name.clone());
            Ok((
                self.run_of(&ready, Attachments::new().control(&control))?,
                ready,
            ))
        });
        match started {
            Ok((run, ready)) => {
                self.runs(&mut life, run, ready);
                Ok(())
            }
            Err(error) => {
                self.is_over(&mut life, State::of_error(&error));
                let kind = error.kind();
                Err(self
                    .error(kind, &life, "cannot be started")
                    .with_source(error))
            }
        }
    }

    /// Finds its program, and compiles it.
    fn ready(&self, house: &House, control: &Control) -> Result<Ready> {
        let mut file = self.spec.run.clone();
        let (engines, config) = (&house.engines, self.spec.own_streams()?);
        let time_begins = || match config.limits.timeout {
            Some(timeout) => control.expire_after(timeout),
            None => Ok(()),
        };
        let (guest, mut config) = match &self.spec.guest {
            GuestRef::Path(path) => {
                file.launch.guest = Some(path.clone());
                // To fetch it takes none of the run's time.
                let source = file.launch.source()?;
                time_begins()?;
                source.open(engines, &config)?
            }
            GuestRef::Image(reference) => {
                time_begins()?;
                file.launch.package_choice().refuse_for(reference)?;
                let policy = file.launch.pull.unwrap_or_default();
                (house.images)(reference, policy, &config)?
            }
        };
        let mut choice = file.choice(engines)?;
        let workspace = match file.launch.workspace {
            None => None,
            Some(_) => file.lock_workspace(&Workspaces::of_user()?)?,
        };
        if let Some(workspace) = &workspace {
            config = workspace.config(&config);
            if choice == Choice::Auto {
                choice = workspace.choice();
            }
        }
        Ok(Ready {
            program: engines.compile_for_run(&guest, &config, &choice, control)?,
            config,
            _workspace: workspace,
            in_a_row: 0,
        })
    }

    fn run_of(&self, ready: &Ready, attachments: Attachments) -> Result<Run> {
        let attachments = attachments.log(&self.log);
        ready.program.start_with(&ready.config, attachments)
    }

    fn runs(&self, life: &mut Life, run: Run, ready: Ready) {
        life.phase = Phase::Running(Box::new((run, ready)));
        life.started = Some(SystemTime::now());
        self.happenings.tell(&self.id, Happened::Started);
        self.changed.notify_all();
        // Only a run that was looked at calls the keeper at its end.
        self.look_at(life);
    }

    /// Looks whether something is to be done about it.
    pub(crate) fn look(&self) {
        self.look_at(&mut self.life());
    }

    fn look_at(&self, life: &mut Life) {
        // Under the lock, so nobody sees it without its phase.
        match std::mem::replace(&mut life.phase, Phase::Created) {
            Phase::Running(mut running) => {
                let waker = Waker::from(Arc::new(Ended(self.this.clone())));
                let run = Pin::new(&mut running.0);
                match run.poll(&mut Context::from_waker(&waker)) {
                    Poll::Pending => life.phase = Phase::Running(running),
                    Poll::Ready(ended) => self.has_ended(life, *running, ended),
                }
            }
            // A time that was put down for an earlier pause is not this one's.
            Phase::Pausing(_, until, ready) if until <= Instant::now() => {
                self.restart(life, *ready);
            }
            other => life.phase = other,
        }
    }

    fn has_ended(&self, life: &mut Life, (run, ready): (Run, Ready), ended: Result<Report>) {
        life.used = run.stats();
        let signal = life.wanted.map(|wanted| match wanted {
            Wanted::Stop => Signal::Kill,
            Wanted::Kill(signal) => signal,
        });
        let state = match &ended {
            Ok(report) => State::of_outcome(&report.outcome, signal),
            Err(error) => State::of_error(error),
        };
        self.pause_or_end(life, state, ready);
    }

    fn pause_or_end(&self, life: &mut Life, state: State, mut ready: Ready) {
        ready.in_a_row = match life.used.elapsed < crate::RestartPolicy::LONG_ENOUGH {
            true => ready.in_a_row.saturating_add(1),
            false => 1,
        };
        let succeeded = state == State::Exited { code: 0 };
        let pause = self.spec.restart.pause(ready.in_a_row, succeeded);
        let Some(pause) = pause.filter(|_| life.wanted.is_none()) else {
            return self.is_over(life, state);
        };
        self.log.end_lines();
        life.ended = Some(SystemTime::now());
        let until = Instant::now() + pause;
        let ended = state.clone();
        life.phase = Phase::Pausing(state, until, Box::new(ready));
        self.happenings
            .tell(&self.id, Happened::Restarts { ended, pause });
        self.changed.notify_all();
        if let Some(this) = self.this.upgrade() {
            self.agenda.at(until, this);
        }
    }

    fn restart(&self, life: &mut Life, ready: Ready) {
        life.restarts = life.restarts.saturating_add(1);
        match self.run_of(&ready, Attachments::new()) {
            Ok(run) => self.runs(life, run, ready),
            Err(error) => {
                life.used = LiveStats::default();
                self.pause_or_end(life, State::of_error(&error), ready);
            }
        }
    }

    /// It is over, and ended like this.
    fn is_over(&self, life: &mut Life, state: State) {
        life.phase = Phase::Over(state.clone());
        life.ended = Some(SystemTime::now());
        self.log.end();
        self.happenings.tell(&self.id, Happened::Ended(state));
        self.changed.notify_all();
    }

    /// Asks it to end, and ends it if it has not after `grace`; returns how it ended.
    pub(crate) fn stop(&self, grace: Duration) -> Result<State> {
        let mut life = self.life();
        self.is_there(&life)?;
        life.wanted.get_or_insert(Wanted::Stop);
        match &mut life.phase {
            Phase::Created | Phase::Over(_) => return Ok(life.state()),
            Phase::Starting(control) => control.interrupt(Interrupt::Kill),
            Phase::Running(running) => running.0.ask_to_end(),
            Phase::Pausing(..) => self.give_up(&mut life),
        }
        // A grace beyond what the clock can tell has no end.
        let until = Instant::now().checked_add(grace);
        let (mut life, over) = self.until_over(life, until);
        if over.is_none() {
            self.end(&mut life)?;
        }
        self.over(life)
    }

    /// Ends it as that signal would; returns at once.
    pub(crate) fn kill(&self, signal: Signal) -> Result<()> {
        let mut life = self.life();
        self.is_there(&life)?;
        if matches!(life.phase, Phase::Created | Phase::Over(_)) {
            let message = format!("there is nothing running to be sent {signal}");
            return Err(self.error(ErrorKind::Ended, &life, message));
        }
        life.wanted = Some(Wanted::Kill(signal));
        self.end(&mut life)
    }

    fn end(&self, life: &mut Life) -> Result<()> {
        match &mut life.phase {
            Phase::Starting(control) => control.interrupt(Interrupt::Kill),
            Phase::Running(running) => running.0.kill()?,
            Phase::Pausing(..) => self.give_up(life),
            Phase::Created | Phase::Over(_) => {}
        }
        Ok(())
    }

    /// It is not started again.
    fn give_up(&self, life: &mut Life) {
        if let Phase::Pausing(state, ..) = &life.phase {
            let state = state.clone();
            self.is_over(life, state);
        }
    }

    /// Waits until it is over.
    pub(crate) fn wait(&self) -> Result<State> {
        let life = self.life();
        self.is_there(&life)?;
        self.over(life)
    }

    /// Waits likewise, so long; `None` if it is not by then.
    pub(crate) fn wait_timeout(&self, time: Duration) -> Result<Option<State>> {
        let life = self.life();
        self.is_there(&life)?;
        // A time beyond what the clock can tell has no end.
        let until = Instant::now().checked_add(time);
        let (life, over) = self.until_over(life, until);
        if over.is_none() {
            self.is_there(&life)?;
        }
        Ok(over)
    }

    /// Waits until nothing of it runs, and tells those who follow its log.
    pub(crate) fn has_gone(&self) {
        let life = self.life();
        if !matches!(life.phase, Phase::Created) {
            let _over = self.until_over(life, None);
        }
        self.log.end();
    }

    fn over(&self, life: MutexGuard<'_, Life>) -> Result<State> {
        let (life, over) = self.until_over(life, None);
        over.ok_or_else(|| self.gone(&life))
    }

    /// Waits until it is over, or removed.
    fn until_over<'a>(
        &self,
        mut life: MutexGuard<'a, Life>,
        until: Option<Instant>,
    ) -> (MutexGuard<'a, Life>, Option<State>) {
        loop {
            if let Phase::Over(state) = &life.phase {
                let state = state.clone();
                return (life, Some(state));
            }
            if life.is_removed {
                return (life, None);
            }
            life = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => {
                    let waited = self.changed.wait(life);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
                Some(Duration::ZERO) => return (life, None),
                Some(left) => {
                    let waited = self.changed.wait_timeout(life, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Marks it as removed. What runs is not.
    pub(crate) fn remove(&self) -> Result<()> {
        let mut life = self.life();
        match life.phase {
            Phase::Created | Phase::Over(_) => {}
            _ => {
                let message = "cannot be removed while it runs; stop it first";
                return Err(self.error(ErrorKind::InUse, &life, message));
            }
        }
        if !std::mem::replace(&mut life.is_removed, true) {
            self.log.end();
            self.happenings.tell(&self.id, Happened::Removed);
            self.changed.notify_all();
        }
        Ok(())
    }

    pub(crate) fn take_stdin(&self) -> Result<Option<std::io::PipeWriter>> {
        let mut life = self.life();
        self.is_there(&life)?;
        match &mut life.phase {
            Phase::Running(running) => Ok(running.0.stdin.take()),
            _ => {
                let message = "has no input to write to while it does not run";
                Err(self.error(ErrorKind::Ended, &life, message))
            }
        }
    }

    pub(crate) fn stats(&self) -> ContainerStats {
        let life = self.life();
        let (live, config) = match &life.phase {
            Phase::Running(running) => (Some(running.0.stats()), &running.1.config),
            Phase::Pausing(_, _, ready) => (None, &ready.config),
            Phase::Created | Phase::Starting(_) | Phase::Over(_) => (None, &self.spec.run.config),
        };
        let used = live.as_ref().unwrap_or(&life.used);
        ContainerStats::new(used, live.is_some(), &config.limits, &self.log)
    }

    pub(crate) fn info(&self) -> Info {
        let life = self.life();
        Info {
            id: self.id.clone(),
            state: life.state(),
            guest: self.spec.guest.clone(),
            engine: life.engine.clone(),
            created: self.created,
            started: life.started,
            ended: life.ended,
            restarts: life.restarts,
        }
    }

    pub(crate) fn exec(&self) -> Error {
        let message = "a WebAssembly guest is one program, and there is nothing in it that could execute another; \
                       start a second container with the same mounts";
        self.error(ErrorKind::Unsupported, &self.life(), message)
    }

    fn is_there(&self, life: &Life) -> Result<()> {
        match life.is_removed {
            false => Ok(()),
            true => Err(self.gone(life)),
        }
    }

    fn gone(&self, life: &Life) -> Error {
        self.error(ErrorKind::Ended, life, "has been removed")
    }

    fn error(&self, kind: ErrorKind, life: &Life, message: impl std::fmt::Display) -> Error {
        let state = match life.state() {
            // Why is said by what comes with it, or by the state.
            State::Failed { .. } => "failed".into(),
            state => state.to_string(),
        };
        Error::new(kind, format!("container {} ({state}) {message}", self.id))
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        // A phase is replaced by the next as a whole.
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Life {
    fn state(&self) -> State {
        match &self.phase {
            Phase::Created => State::Created,
            Phase::Starting(_) => State::Starting,
            Phase::Running(_) => State::Running,
            Phase::Pausing(..) => State::Restarting,
            Phase::Over(state) => state.clone(),
        }
    }
}

/// Tells the keeper that a container's run has ended.
struct Ended(Weak<Container>);

impl Wake for Ended {
    fn wake(self: Arc<Self>) {
        if let Some(container) = self.0.upgrade() {
            let agenda = container.agenda.clone();
            agenda.now(container);
        }
    }
}
