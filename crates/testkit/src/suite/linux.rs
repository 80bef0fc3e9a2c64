//! What a C program finds is what it finds on Linux: see [`oracle`](crate::oracle).

use crate::case::Case;
use crate::oracle::{SCENE, Scene, agrees, program};

crate::suite::rules![
    standard_streams_answer_as_on_linux,
    a_full_device_is_told_as_on_linux,
    descriptors_are_polled_as_on_linux,
    files_are_sought_as_on_linux,
    a_directory_is_emptied_while_it_is_read,
    paths_end_as_on_linux,
    links_lead_where_they_do_on_linux,
    a_file_has_several_names_as_on_linux,
    names_are_taken_and_given_as_on_linux,
    what_is_open_stays_as_on_linux,
    names_are_bytes_as_on_linux,
    names_and_paths_are_as_long_as_on_linux,
    files_and_directories_are_made_as_on_linux,
    a_large_directory_is_read_as_on_linux,
    entries_are_told_with_their_kinds_as_on_linux,
    times_move_as_on_linux,
    files_are_written_beyond_their_end_as_on_linux,
    descriptors_are_for_what_they_are_on_linux,
    descriptors_have_flags_as_on_linux,
    descriptors_are_numbered_as_on_linux,
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

fn paths_end_as_on_linux(case: &Case) {
    agrees(case, program!("slashes"), &SCENE);
}

fn links_lead_where_they_do_on_linux(case: &Case) {
    agrees(case, program!("links"), &SCENE);
}

fn a_file_has_several_names_as_on_linux(case: &Case) {
    agrees(case, program!("hardlinks"), &SCENE);
}

fn names_are_taken_and_given_as_on_linux(case: &Case) {
    agrees(case, program!("renames"), &SCENE);
}

fn what_is_open_stays_as_on_linux(case: &Case) {
    agrees(case, program!("handles"), &SCENE);
}

fn names_are_bytes_as_on_linux(case: &Case) {
    agrees(case, program!("names"), &SCENE);
}

fn names_and_paths_are_as_long_as_on_linux(case: &Case) {
    agrees(case, program!("lengths"), &SCENE);
}

fn files_and_directories_are_made_as_on_linux(case: &Case) {
    agrees(case, program!("creation"), &SCENE);
}

fn a_large_directory_is_read_as_on_linux(case: &Case) {
    agrees(case, program!("listing"), &SCENE);
}

fn entries_are_told_with_their_kinds_as_on_linux(case: &Case) {
    agrees(case, program!("kinds"), &SCENE);
}

fn times_move_as_on_linux(case: &Case) {
    agrees(case, program!("times"), &SCENE);
}

fn files_are_written_beyond_their_end_as_on_linux(case: &Case) {
    agrees(case, program!("sparse"), &SCENE);
}

fn descriptors_are_for_what_they_are_on_linux(case: &Case) {
    agrees(case, program!("descriptors"), &SCENE);
}

fn descriptors_have_flags_as_on_linux(case: &Case) {
    agrees(case, program!("flags"), &SCENE);
}

fn descriptors_are_numbered_as_on_linux(case: &Case) {
    agrees(case, program!("numbers"), &SCENE);
}
