//! Any bytes, as a tar archive: refused, or a tree in which every file can be read.
#![no_main]

use std::fs::File;
use std::io::Write;
use std::ops::ControlFlow;
use std::sync::Arc;

use wasmrun_fs::{Directory, Name, OpenOptions, Step, Tar, TarLimits};

const LIMITS: TarLimits = TarLimits {
    bytes: 1 << 20,
    entries: 1000,
    names: 10_000,
};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    look(bytes);
    let mut repaired = bytes.to_vec();
    repaired.as_chunks_mut::<512>().0.iter_mut().for_each(sum);
    look(&repaired);
});

/// Gives a header the checksum that it should have, if it has the word of one.
fn sum(block: &mut [u8; 512]) {
    if block[257..262] == *b"ustar" {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

fn look(bytes: &[u8]) {
    let mut file: File = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("it is written");
    let Ok(tar) = Tar::from_file(file, LIMITS) else {
        return;
    };
    let mut ahead = vec![tar.root()];
    while let Some(directory) = ahead.pop() {
        for name in names(&directory) {
            let name = Name::new(&name).expect("a name that is listed");
            let stat = directory.stat_at(name).expect("it is there");
            match directory.enter(name) {
                Ok(Step::Directory(below)) => ahead.push(below),
                Ok(Step::Symlink(target)) => assert_eq!(stat.size, target.len() as u64),
                Err(_) => {
                    let read = OpenOptions {
                        read: true,
                        ..OpenOptions::default()
                    };
                    let Ok(file) = directory.open_at(name, read) else {
                        continue;
                    };
                    let mut content = vec![0; stat.size as usize];
                    let length = file.read_at(&mut content, 0).expect("it reads");
                    assert_eq!(length, content.len());
                }
            }
        }
    }
}

fn names(directory: &Arc<dyn Directory>) -> Vec<Vec<u8>> {
    let mut names = Vec::new();
    let listed = directory.list(0, 64, &mut |entry| {
        if Name::new(entry.name).is_ok() {
            names.push(entry.name.to_vec());
        }
        ControlFlow::Continue(())
    });
    listed.expect("it is listed");
    names
}
