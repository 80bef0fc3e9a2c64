//! A host that gives an untrusted program tools, watches what it does, and ends it:
//! `cargo run -p wasmrun --example agent-tools`.
//!
//! The program asks for pages by a function of the host that awaits something, as a download would be, and has a budget
//! for that. What it writes is seen as it comes. Once the budget is spent it is told so, and since it does not stop, it is
//! killed.

use std::future::poll_fn;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use wasmrun::{
    Async, Attachments, Choice, Engines, Event, Guest, GuestStr, HostCall, HostFunctions, Outcome,
    Request, RunConfig, Stdout,
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What a run may do, and what it has done.
struct Budget {
    downloads: u32,
}

/// Stands for a download: ready after a moment, on another thread.
async fn download(address: String) -> String {
    let mut begun = false;
    poll_fn(|context| {
        if begun {
            return Poll::Ready(());
        }
        begun = true;
        let waker = context.waker().clone();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(5));
            waker.wake();
        });
        Poll::Pending
    })
    .await;
    format!("the page at {address}")
}

/// `fetch(address, length, to, room) -> length`, of which -1 says that there is nothing left to spend.
async fn fetch(
    call: &mut HostCall<'_>,
    address: GuestStr,
    to: u32,
    room: u32,
) -> Result<i32, Failure> {
    let address = address.read(call)?;
    let budget: &mut Budget = call.state()?;
    if budget.downloads == 0 {
        return Ok(-1);
    }
    budget.downloads -= 1;
    let page = download(address).await;
    let page = &page.as_bytes()[..page.len().min(room as usize)];
    call.write(to, page)?;
    Ok(i32::try_from(page.len())?)
}

fn main() -> Result<(), Failure> {
    let host = HostFunctions::new().function("tools", "fetch", Async(fetch));
    let config = RunConfig::new()
        .stdout(Stdout::Pipe)
        .killable(true)
        .limit(|limits| {
            limits.memory = Some(16 << 20);
            limits.timeout = Some(Duration::from_secs(30));
        });
    let guest = Guest::from_bytes("crawler", include_str!("crawler.wat"))?;
    let request = Request::new(&config, &host);
    let program = Engines::shared().compile(&guest, request, &Choice::Auto)?;
    let budget = Attachments::new().state(Budget { downloads: 3 });
    let run = program.start_with(&config, budget)?;

    let mut pages = 0;
    let mut events = run.events();
    let killer = events.killer()?;
    let outcome = loop {
        match events.recv_timeout(Duration::from_secs(10))? {
            Event::Stdout(text) => {
                let text = String::from_utf8_lossy(&text);
                print!("{text}");
                pages += text.matches("the page at").count();
                if text.contains("no more") {
                    // It was told, and goes on all the same.
                    killer.kill();
                }
            }
            Event::Ended(report) => break report?.outcome,
            _ => {}
        }
    };
    println!("the crawler {outcome} after {pages} pages");
    assert_eq!((outcome, pages), (Outcome::Killed, 3));
    Ok(())
}
