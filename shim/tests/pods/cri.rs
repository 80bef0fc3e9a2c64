//! The kubelet's side of containerd: requests of CRI, as JSON.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout};

use serde_json::{Value, json};

pub struct Cri {
    process: Child,
    requests: ChildStdin,
    replies: BufReader<ChildStdout>,
}

impl Cri {
    pub fn new(mut process: Child) -> Cri {
        let requests = process.stdin.take().expect("a pipe");
        let replies = BufReader::new(process.stdout.take().expect("a pipe"));
        Cri {
            process,
            requests,
            replies,
        }
    }

    /// What came back, or the words of the error.
    pub fn try_call(&mut self, method: &str, request: Value) -> Result<Value, String> {
        self.ask(json!([method, request]))
    }

    /// The same, given up after so many seconds.
    pub fn hurried(&mut self, method: &str, request: Value, seconds: u32) -> Result<Value, String> {
        self.ask(json!([method, request, seconds]))
    }

    fn ask(&mut self, question: Value) -> Result<Value, String> {
        writeln!(self.requests, "{question}").expect("the client reads");
        let mut line = String::new();
        self.replies.read_line(&mut line).expect("a text");
        let mut answer: Value =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("the client of CRI has ended"));
        match answer.get_mut("reply") {
            Some(reply) => Ok(reply.take()),
            None => Err(answer["error"].to_string()),
        }
    }

    #[track_caller]
    pub fn call(&mut self, method: &str, request: Value) -> Value {
        self.try_call(method, request)
            .unwrap_or_else(|error| panic!("{method}: {error}"))
    }
}

impl Drop for Cri {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
