//! What a C program finds is what it finds on Linux: see [`oracle`](crate::oracle).

use crate::case::Case;
use crate::oracle::{SCENE, Scene, agrees, program};

crate::suite::rules![
    standard_streams_answer_as_on_linux,
    a_full_device_is_told_as_on_linux,
    descriptors_are_polled_as_on_linux,
    files_are_sought_as_on_linux,
    a_directory_is_emptied_while_it_is_read,
];

fn standard_streams_answer_as_on_linux(case: &Case) {
    let scene = Scene {
        files: &[("f", "content")],
        stdin: "q",
        ..SCENE
    };
    agrees(case, program!("streams"), &scene);
}

fn a_full_device_is_told_as_on_linux(case: &Case) {
    let scene = Scene {
        stdout: Some("/dev/full"),
        ..SCENE
    };
    agrees(case, program!("full"), &scene);
}

fn descriptors_are_polled_as_on_linux(case: &Case) {
    let scene = Scene {
        files: &[("f", "content"), ("empty", "")],
        ..SCENE
    };
    agrees(case, program!("polling"), &scene);
}

fn files_are_sought_as_on_linux(case: &Case) {
    let scene = Scene {
        files: &[("f", "0123456789")],
        ..SCENE
    };
    agrees(case, program!("offsets"), &scene);
}

fn a_directory_is_emptied_while_it_is_read(case: &Case) {
    agrees(case, program!("emptying"), &SCENE);
}
