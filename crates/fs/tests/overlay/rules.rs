//! What holds of an overlay, rule by rule.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::{Arc, Barrier};
use std::thread;

use wasmrun_core::Access;
use wasmrun_fs::{
    Change, ChangeKind, Errno, FileType, Memory, MemoryLimits, Mounted, Name, OpenOptions, Overlay,
    SetTime, SetTimes, Stat, World,
};

use crate::tree::{
    CREATE, Dir, READ, WRITE, enter, fill, filled, memory, name, names, parent, read, tree, write,
};

const TRUNCATE: OpenOptions = OpenOptions {
    truncate: true,
    ..WRITE
};
const EXCLUSIVE: OpenOptions = OpenOptions {
    exclusive: true,
    ..CREATE
};
const PAST: SetTimes = SetTimes {
    accessed: SetTime::To(1_000),
    modified: SetTime::To(2_000),
};

/// An overlay of one lower with these paths, its root, and its upper.
fn overlay(paths: &[&str]) -> (Overlay, Dir, Dir) {
    over(vec![filled(paths)])
}

fn over(lowers: Vec<Dir>) -> (Overlay, Dir, Dir) {
    let upper = memory();
    let overlay = Overlay::new(lowers, Arc::clone(&upper));
    let root = overlay.root();
    (overlay, root, upper)
}

fn stat(root: &Dir, path: &str) -> Stat {
    let (directory, last) = parent(root, path);
    directory.stat_at(last).unwrap()
}

fn rename(root: &Dir, from: &str, to: &str) {
    let ((directory, last), (to, new)) = (parent(root, from), parent(root, to));
    directory.rename(last, &*to, new).unwrap();
}

fn remove(root: &Dir, path: &str) {
    let (directory, last) = parent(root, path);
    match directory.stat_at(last).unwrap().file_type {
        FileType::Directory => directory.remove_directory(last).unwrap(),
        _ => directory.remove_file(last).unwrap(),
    }
}

/// The changes, each in short.
fn changes(overlay: &Overlay) -> Vec<String> {
    let path = |path: &[u8]| String::from_utf8(path.to_vec()).unwrap();
    let changes = overlay.changes().unwrap().into_iter();
    changes
        .map(|change| match &change.kind {
            ChangeKind::Created => format!("+{}", path(&change.path)),
            ChangeKind::Modified => format!("~{}", path(&change.path)),
            ChangeKind::Removed => format!("-{}", path(&change.path)),
            ChangeKind::Renamed { from } => format!("{}>{}", path(from), path(&change.path)),
        })
        .collect()
}

#[test]
fn the_uppermost_layer_with_a_name_shows_it() {
    let (top, middle, bottom) = (
        filled(&["d/", "d/top", "x"]),
        filled(&["d/", "d/top", "d/middle", "x/", "x/middle", "y"]),
        filled(&[
            "d/", "d/top", "d/middle", "d/bottom", "x/", "y/", "y/bottom",
        ]),
    );
    write(&middle, "d/top", b"hidden");
    let (_, root, upper) = over(vec![top, middle, bottom]);
    assert_eq!(names(&root), ["d", "x", "y"]);
    assert_eq!(names(&enter(&root, "d")), ["bottom", "middle", "top"]);
    assert_eq!(read(&root, "d/top"), b"d/top");
    assert_eq!(read(&root, "x"), b"x");
    assert_eq!(read(&root, "y"), b"y");
    assert_eq!(names(&upper), [""; 0]);
}

#[test]
fn directories_are_merged_down_to_the_first_layer_with_something_else() {
    let layers = vec![
        filled(&["d/", "d/a"]),
        filled(&["d"]),
        filled(&["d/", "d/b"]),
    ];
    let (_, root, _) = over(layers);
    assert_eq!(names(&enter(&root, "d")), ["a"]);
}

#[test]
fn layers_of_oci_images_can_be_given_as_they_are() {
    let top = filled(&[
        "d/",
        "d/.wh.gone",
        "d/new",
        "o/",
        "o/.wh..wh..opq",
        "o/a",
        ".wh.f",
        "f/",
    ]);
    let bottom = filled(&[
        "d/", "d/gone", "d/kept", "o/", "o/b", "f/", "f/below", "e/", "e/below",
    ]);
    write(&top, ".wh.e", b"");
    let (overlay, root, _) = over(vec![top, bottom]);
    assert_eq!(names(&root), ["d", "f", "o"]);
    assert_eq!(names(&enter(&root, "d")), ["kept", "new"]);
    assert_eq!(names(&enter(&root, "o")), ["a"]);
    // A whiteout does not hide what its own layer has.
    assert_eq!(names(&enter(&root, "f")), [""; 0]);
    assert_eq!(root.stat_at(name("e")), Err(Errno::Noent));
    assert_eq!(changes(&overlay), [""; 0]);

    root.create_directory(name("e")).unwrap();
    assert_eq!(names(&enter(&root, "e")), [""; 0]);
    assert_eq!(changes(&overlay), ["+e"]);
}

#[test]
fn a_layer_with_an_opaque_root_hides_all_below() {
    let (_, root, _) = over(vec![filled(&[".wh..wh..opq", "a"]), filled(&["b"])]);
    assert_eq!(names(&root), ["a"]);
}

#[test]
fn names_of_marks_are_not_the_guests() {
    let (_, root, upper) = overlay(&["a", "d/"]);
    remove(&root, "a");
    let mark = name(".wh.a");
    assert!(upper.stat_at(mark).is_ok());
    assert_eq!(root.stat_at(mark), Err(Errno::Noent));
    assert_eq!(root.open_at(mark, READ).err(), Some(Errno::Noent));
    assert_eq!(root.open_at(mark, CREATE).err(), Some(Errno::Inval));
    assert_eq!(root.open_at(mark, EXCLUSIVE).err(), Some(Errno::Inval));
    assert_eq!(root.create_directory(mark), Err(Errno::Inval));
    assert_eq!(root.symlink(mark, b"a"), Err(Errno::Inval));
    assert_eq!(root.remove_file(mark), Err(Errno::Noent));
    assert_eq!(root.remove_directory(mark), Err(Errno::Noent));
    write(&root, "b", b"");
    assert_eq!(root.rename(mark, &*root, name("c")), Err(Errno::Noent));
    assert_eq!(root.rename(name("b"), &*root, mark), Err(Errno::Inval));
    assert_eq!(root.link(name("b"), &*root, mark), Err(Errno::Inval));
    assert_eq!(names(&root), ["b", "d"]);
}

#[test]
fn to_read_copies_nothing() {
    let (_, root, upper) = overlay(&["d/", "d/a"]);
    assert_eq!(read(&root, "d/a"), b"d/a");
    let keep = SetTimes {
        accessed: SetTime::Keep,
        modified: SetTime::Keep,
    };
    enter(&root, "d").set_times_at(name("a"), keep).unwrap();
    assert_eq!(names(&upper), [""; 0]);
}

#[test]
fn a_file_is_copied_when_it_is_opened_to_be_written_and_so_are_the_directories_above() {
    let lower = filled(&["d/", "d/e/", "d/e/a", "d/e/b"]);
    enter(&lower, "d/e").set_times_at(name("a"), PAST).unwrap();
    for path in ["d/e", "d"] {
        enter(&lower, path).set_times(PAST).unwrap();
    }
    let before = tree(&lower);
    let (overlay, root, upper) = over(vec![Arc::clone(&lower)]);
    let file = enter(&root, "d/e").open_at(name("a"), WRITE).unwrap();
    assert_eq!(read(&upper, "d/e/a"), b"d/e/a");
    assert_eq!(names(&enter(&upper, "d/e")), ["a"]);
    for path in ["d", "d/e", "d/e/a"] {
        assert_eq!(stat(&upper, path).modified, 2_000, "{path}");
    }
    assert_eq!(changes(&overlay), [""; 0]);
    assert_eq!(file.write_at(b"!", 0), Ok(1));
    assert_eq!(read(&root, "d/e/a"), b"!/e/a");
    assert_eq!(changes(&overlay), ["~d/e/a"]);
    assert_eq!(tree(&lower), before);
}

#[test]
fn a_file_that_loses_its_content_is_not_copied_before() {
    let lower = memory();
    write(&lower, "a", &[1; 100_000]);
    let upper = Memory::new(MemoryLimits::default());
    let overlay = Overlay::new(vec![lower], upper.root());
    let number = stat(&overlay.root(), "a").inode;
    let limited = upper.used().bytes;
    let file = overlay.root().open_at(name("a"), TRUNCATE).unwrap();
    assert_eq!(upper.used().bytes, limited);
    assert_eq!(file.stat().unwrap().size, 0);
    assert_eq!(file.stat().unwrap().inode, number);
    assert_eq!(file.write_at(b"new", 0), Ok(3));
    assert_eq!(read(&overlay.root(), "a"), b"new");
}

#[test]
fn holes_are_not_copied() {
    let lower = memory();
    let file = lower.open_at(name("a"), CREATE).unwrap();
    file.write_at(&[1], 5 << 20).unwrap();
    file.set_size(10 << 20).unwrap();
    let upper = Memory::new(MemoryLimits::default());
    let overlay = Overlay::new(vec![lower], upper.root());
    let file = overlay.root().open_at(name("a"), WRITE).unwrap();
    assert_eq!(file.stat().unwrap().size, 10 << 20);
    assert!(upper.used().bytes <= 1 << 20);
    let mut byte = [0];
    file.read_at(&mut byte, 5 << 20).unwrap();
    assert_eq!(byte, [1]);
}

#[test]
fn a_copy_for_which_there_is_no_room_leaves_all_as_it_was() {
    let lower = memory();
    write(&lower, "a", &[1; 100_000]);
    let upper = Memory::new(MemoryLimits {
        bytes: Some(50_000),
        entries: None,
    });
    let overlay = Overlay::new(vec![lower], upper.root());
    let root = overlay.root();
    assert_eq!(root.open_at(name("a"), WRITE).err(), Some(Errno::Nospc));
    assert_eq!(read(&root, "a"), [1; 100_000]);
    assert_eq!(upper.used().bytes, 0);
    assert_eq!(names(&upper.root()), [""; 0]);
}

#[test]
fn a_renamed_directory_keeps_its_content_where_it_is() {
    let lower = filled(&["d/", "d/e/", "d/e/a", "d/b"]);
    let (overlay, root, upper) = over(vec![lower]);
    enter(&root, "d").set_times(PAST).unwrap();
    let open = enter(&root, "d/e");
    rename(&root, "d", "n");
    assert_eq!(names(&upper), [".wh.d", "n"]);
    assert_eq!(names(&enter(&upper, "n")), [".wh..wh.from"]);
    assert_eq!(read(&upper, "n/.wh..wh.from"), b"d");
    assert_eq!(stat(&root, "n").modified, 2_000);
    assert_eq!(names(&root), ["n"]);
    assert_eq!(names(&enter(&root, "n")), ["b", "e"]);
    assert_eq!(read(&root, "n/e/a"), b"d/e/a");
    assert_eq!(changes(&overlay), ["d>n"]);

    // Whoever is in it stays there.
    write(&open, "new", b"");
    assert_eq!(names(&enter(&root, "n/e")), ["a", "new"]);
    rename(&root, "n/e", "e");
    assert_eq!(read(&upper, "e/.wh..wh.from"), b"d/e");
    remove(&root, "n/b");
    assert_eq!(changes(&overlay), ["d/e>e", "+e/new", "d>n", "-n/b"]);

    let again = Overlay::new(vec![filled(&["d/", "d/e/", "d/e/a", "d/b"])], upper);
    assert_eq!(tree(&again.root()), tree(&root));
}

#[test]
fn to_rename_back_is_no_change() {
    let (overlay, root, upper) = overlay(&["d/", "d/a", "f"]);
    rename(&root, "d", "n");
    rename(&root, "f", "n/f");
    assert_eq!(changes(&overlay), ["d>n", "f>n/f"]);
    rename(&root, "n/f", "f");
    rename(&root, "n", "d");
    assert_eq!(changes(&overlay), [""; 0]);
    assert_eq!(names(&upper), ["d", "f"]);
    assert_eq!(names(&enter(&upper, "d")), [".wh.f"; 0]);
    write(&root, "f", b"other");
    assert_eq!(changes(&overlay), ["~f"]);
}

#[test]
fn changes_tell_what_became_of_every_name() {
    let (overlay, root, _) = overlay(&["a", "b", "c", "d/", "d/x", "e/", "e/y", "f"]);
    rename(&root, "a", "t");
    rename(&root, "b", "a");
    rename(&root, "t", "b");
    remove(&root, "c");
    root.symlink(name("c"), b"a").unwrap();
    remove(&root, "d/x");
    remove(&root, "d");
    fill(&root, &["d/", "d/z"]);
    rename(&root, "e/y", "e.y");
    remove(&root, "e");
    root.set_times_at(name("f"), PAST).unwrap();
    let told = ["b>a", "a>b", "+c", "+d", "+d/z", "-e", "e/y>e.y", "~f"];
    assert_eq!(changes(&overlay), told);
    let created = Change {
        path: b"c".to_vec(),
        kind: ChangeKind::Created,
        file_type: FileType::Symlink,
        size: 1,
    };
    assert!(overlay.changes().unwrap().contains(&created));
}

#[test]
fn a_renamed_file_whose_name_is_too_long_for_its_origin_is_told_as_created() {
    let (overlay, root, _) = overlay(&["a"]);
    let long = "x".repeat(243);
    rename(&root, "a", &long);
    assert_eq!(changes(&overlay), ["-a".to_owned(), format!("+{long}")]);
    rename(&root, &long, &long[1..]);
    assert_eq!(
        changes(&overlay),
        ["-a".to_owned(), format!("+{}", &long[1..])]
    );
}

#[test]
fn a_name_too_long_for_a_whiteout_cannot_be_removed() {
    let (long, most) = ("x".repeat(252), "y".repeat(251));
    let (_, root, _) = overlay(&[&long, &most]);
    let too_long = Err(Errno::Nametoolong);
    assert_eq!(root.remove_file(name(&long)), too_long);
    assert_eq!(root.rename(name(&long), &*root, name("a")), too_long);
    write(&root, &long, b"written");
    assert_eq!(read(&root, &long), b"written");
    remove(&root, &most);
    assert_eq!(names(&root), [long]);
    let longer = "z".repeat(255);
    write(&root, &longer, b"");
    remove(&root, &longer);
}

#[test]
fn what_is_made_over_a_whiteout_shows_nothing_of_the_lowers() {
    let (_, root, upper) = overlay(&["d/", "d/a", "f"]);
    remove(&root, "d/a");
    remove(&root, "d");
    remove(&root, "f");
    assert_eq!(names(&upper), [".wh.d", ".wh.f"]);
    root.create_directory(name("d")).unwrap();
    write(&root, "f", b"new");
    assert_eq!(names(&upper), ["d", "f"]);
    assert_eq!(names(&enter(&upper, "d")), [".wh..wh..opq"]);
    assert_eq!(names(&enter(&root, "d")), [""; 0]);
}

#[test]
fn only_a_directory_with_nothing_in_it_in_all_layers_is_removed() {
    let layers = vec![filled(&["d/", "d/a"]), filled(&["d/", "d/b"])];
    let (_, root, upper) = over(layers);
    for at in ["d/a", "d/b"] {
        assert_eq!(root.remove_directory(name("d")), Err(Errno::Notempty));
        remove(&root, at);
    }
    root.remove_directory(name("d")).unwrap();
    assert_eq!(names(&upper), [".wh.d"]);
    assert_eq!(root.remove_directory(name("d")), Err(Errno::Noent));
}

#[test]
fn a_directory_that_is_removed_has_no_names() {
    let (_, root, _) = overlay(&["d/"]);
    let directory = enter(&root, "d");
    remove(&root, "d");
    assert_eq!(directory.stat().unwrap().links, 0);
    assert_eq!(
        directory.open_at(name("a"), CREATE).err(),
        Some(Errno::Noent)
    );
    assert_eq!(directory.create_directory(name("a")), Err(Errno::Noent));
    let list = directory.list(0, 100, &mut |_| ControlFlow::Continue(()));
    assert_eq!(list, Err(Errno::Noent));
    root.create_directory(name("d")).unwrap();
    assert_eq!(directory.stat_at(name("a")), Err(Errno::Noent));
    write(&root, "a", b"");
    assert_eq!(
        root.rename(name("a"), &*directory, name("a")),
        Err(Errno::Noent)
    );
}

#[test]
fn a_directory_that_is_removed_makes_room_at_once() {
    // The root is one of them.
    let upper = Memory::new(MemoryLimits {
        bytes: None,
        entries: Some(3),
    });
    let root = Overlay::new(vec![memory()], upper.root()).root();
    for _ in 0..10 {
        root.create_directory(name("a")).unwrap();
        enter(&root, "a").create_directory(name("b")).unwrap();
        enter(&root, "a/b").stat().unwrap();
        remove(&root, "a/b");
        remove(&root, "a");
    }
}

#[test]
fn a_file_keeps_its_number_when_it_is_copied() {
    let (_, root, upper) = overlay(&["d/", "d/a"]);
    root.symlink(name("l"), b"d").unwrap();
    let [d, a] = ["d", "d/a"].map(|path| stat(&root, path));
    let directory = enter(&root, "d");
    let file = directory.open_at(name("a"), WRITE).unwrap();
    assert_eq!(names(&upper), ["d", "l"]);
    assert_eq!(file.stat().unwrap().inode, a.inode);
    assert_eq!(stat(&root, "d/a").inode, a.inode);
    assert_eq!(stat(&root, "d").inode, d.inode);
    assert_eq!(directory.stat().unwrap().inode, d.inode);
    rename(&root, "d/a", "a");
    assert_eq!(stat(&root, "a").inode, a.inode);
    let numbers = ["a", "d", "l"].map(|path| stat(&root, path).inode);
    assert_eq!(numbers.into_iter().collect::<BTreeSet<_>>().len(), 3);
    directory
        .list(0, 100, &mut |entry| {
            assert!(entry.name != b"." || entry.inode == d.inode);
            ControlFlow::Continue(())
        })
        .unwrap();
}

#[test]
fn overlays_are_different_devices() {
    let (one, other) = (overlay(&["a"]).1, overlay(&["a"]).1);
    assert_ne!(one.stat().unwrap().device, other.stat().unwrap().device);
    assert_eq!(one.rename(name("a"), &*other, name("b")), Err(Errno::Xdev));
    assert_eq!(one.link(name("a"), &*other, name("b")), Err(Errno::Xdev));
    assert_eq!(one.link(name("a"), &*other, name("a")), Err(Errno::Exist));
}

#[test]
fn who_has_a_file_open_to_read_sees_what_is_written() {
    let (_, root, _) = overlay(&["a", "b"]);
    let reader = root.open_at(name("a"), READ).unwrap();
    let number = reader.stat().unwrap().inode;
    let writer = root.open_at(name("a"), WRITE).unwrap();
    writer.append(b"bc").unwrap();
    let mut buffer = [0; 10];
    assert_eq!(reader.read_at(&mut buffer, 0), Ok(3));
    assert_eq!(&buffer[..3], b"abc");
    assert_eq!(reader.stat().unwrap().inode, number);

    // It stays the same file whatever becomes of the name.
    let reader = root.open_at(name("b"), READ).unwrap();
    remove(&root, "b");
    write(&root, "b", b"other");
    assert_eq!(reader.read_at(&mut buffer, 0), Ok(1));
    assert_eq!(&buffer[..1], b"b");
}

#[test]
fn a_file_that_is_open_to_read_does_not_change_the_lower() {
    let lower = filled(&["a", "b"]);
    let times = stat(&lower, "a").modified;
    let (_, root, upper) = over(vec![Arc::clone(&lower)]);
    let file = root.open_at(name("a"), READ).unwrap();
    assert_eq!(file.write_at(b"x", 0), Err(Errno::Badf));
    assert_eq!(file.append(b"x"), Err(Errno::Badf));
    assert_eq!(file.set_size(0), Err(Errno::Badf));
    assert_eq!(file.allocate(0, 10), Err(Errno::Badf));
    file.set_times(PAST).unwrap();
    assert_eq!(file.stat().unwrap().modified, 2_000);
    assert_eq!(stat(&root, "a").modified, 2_000);
    assert_eq!(stat(&upper, "a").modified, 2_000);
    assert_eq!(stat(&lower, "a").modified, times);

    let file = root.open_at(name("b"), READ).unwrap();
    remove(&root, "b");
    assert_eq!(file.set_times(PAST), Err(Errno::Stale));
}

#[test]
fn of_several_names_in_a_lower_only_one_is_copied() {
    let lower = filled(&["a"]);
    lower.link(name("a"), &*lower, name("b")).unwrap();
    let (_, root, _) = over(vec![lower]);
    assert_eq!(stat(&root, "a").links, 2);
    assert_eq!(stat(&root, "a").inode, stat(&root, "b").inode);
    write(&root, "a", b"new");
    assert_eq!(read(&root, "b"), b"a");
    assert_eq!(stat(&root, "a").links, 1);
    assert_ne!(stat(&root, "a").inode, stat(&root, "b").inode);
}

#[test]
fn a_link_to_a_file_of_a_lower_is_the_same_file() {
    let (overlay, root, _) = overlay(&["a", "d/"]);
    let number = stat(&root, "a").inode;
    root.link(name("a"), &*enter(&root, "d"), name("b"))
        .unwrap();
    write(&root, "d/b", b"new");
    assert_eq!(read(&root, "a"), b"new");
    assert_eq!(stat(&root, "d/b").inode, number);
    assert_eq!(stat(&root, "a").links, 2);
    assert_eq!(changes(&overlay), ["~a", "+d/b"]);
}

#[test]
fn what_was_left_incomplete_is_not_shown_and_goes() {
    let lower = filled(&["a"]);
    let upper = filled(&[".wh..wh.tmp.0", ".wh..wh.tmp.7", ".wh..wh.tmp.8/"]);
    let overlay = Overlay::new(vec![lower], Arc::clone(&upper));
    let root = overlay.root();
    write(&root, "a", b"new");
    assert_eq!(names(&root), ["a"]);
    assert_eq!(names(&upper), ["a"]);
    assert_eq!(changes(&overlay), ["~a"]);
}

#[test]
fn a_mark_that_leads_nowhere_shows_nothing() {
    for path in ["", "..", "d/../d", "gone", "f", "/d", ".wh.x", "d/"] {
        let upper = filled(&["n/", "n/new"]);
        write(&upper, "n/.wh..wh.from", path.as_bytes());
        let overlay = Overlay::new(vec![filled(&["d/", "d/a", "f", "n/", "n/b"])], upper);
        assert_eq!(names(&enter(&overlay.root(), "n")), ["new"], "{path}");
    }
}

/// Lists a directory and does something for each name, with room for one.
fn list_slowly(directory: &Dir, mut each: impl FnMut(&[u8])) {
    let mut cookie = 0;
    loop {
        let mut name = None;
        directory
            .list(cookie, 1, &mut |entry| {
                name = Some(entry.name.to_vec());
                cookie = entry.next;
                ControlFlow::Break(())
            })
            .unwrap();
        match name.as_deref() {
            None => break,
            Some(b"." | b"..") => {}
            Some(name) => each(name),
        }
    }
}

/// A directory whose names are in three layers.
fn mixed() -> (Overlay, Dir, Dir) {
    let all: Vec<_> = (0..300).map(|number| format!("f{number}")).collect();
    let paths: Vec<_> = all.iter().map(String::as_str).collect();
    let (overlay, root, upper) = over(vec![filled(&paths[..200]), filled(&paths[100..250])]);
    for path in &paths[220..] {
        write(&root, path, b"");
    }
    (overlay, root, upper)
}

#[test]
fn a_directory_can_be_emptied_while_it_is_listed() {
    let (_, root, _) = mixed();
    let mut count = 0;
    list_slowly(&root, |at| {
        count += 1;
        root.remove_file(Name::new(at).unwrap()).unwrap();
    });
    assert_eq!(count, 300);
    assert_eq!(names(&root), [""; 0]);
}

#[test]
fn what_is_there_all_the_time_is_listed_once_whatever_is_done_meanwhile() {
    let (_, root, _) = mixed();
    let mut seen = BTreeSet::new();
    let mut step = 0;
    list_slowly(&root, |at| {
        assert!(seen.insert(at.to_vec()), "{}", String::from_utf8_lossy(at));
        step += 1;
        // Files are copied to the upper, made and removed, and another list begins.
        write(&root, &format!("f{}", step * 7 % 300), b"new");
        write(&root, &format!("new{step}"), b"");
        if step > 1 {
            remove(&root, &format!("new{}", step - 1));
        }
        if step % 50 == 0 {
            names(&root);
        }
    });
    assert!(step < 320);
    let kept = (0..300).map(|number| format!("f{number}").into_bytes());
    assert!(kept.collect::<BTreeSet<_>>().is_subset(&seen));
}

#[test]
fn a_list_begins_with_what_the_upper_has() {
    let (_, root, _) = overlay(&["b", "c"]);
    write(&root, "z", b"");
    let mut listed = Vec::new();
    list_slowly(&root, |at| listed.push(at.to_vec()));
    assert_eq!(listed, [b"z", b"b", b"c"]);
}

#[test]
fn trees_may_be_deeper_than_the_stack() {
    const DEPTH: usize = 4_000;
    let lower = memory();
    let mut at = Arc::clone(&lower);
    for _ in 0..DEPTH {
        at.create_directory(name("d")).unwrap();
        at = enter(&at, "d");
    }
    write(&at, "a", b"");
    let deep = move || {
        let (overlay, root, upper) = over(vec![lower]);
        let down = |from: &Dir| (0..DEPTH).fold(Arc::clone(from), |at, _| enter(&at, "d"));
        let bottom = down(&root);
        drop(bottom.open_at(name("a"), WRITE).unwrap());
        assert_eq!(names(&down(&upper)), ["a"]);
        rename(&enter(&root, "d"), "d", "n");
        assert_eq!(read(&bottom, "a"), b"");
        let below = (0..DEPTH - 2).fold(enter(&root, "d/n"), |at, _| enter(&at, "d"));
        assert_eq!(names(&below), ["a"]);
        rename(&below, "a", "b");
        drop((bottom, below, root, overlay));
    };
    let thread = thread::Builder::new().stack_size(128 << 10).spawn(deep);
    thread.unwrap().join().unwrap();
}

#[test]
fn paths_lead_through_it() {
    let (_, root, _) = overlay(&["d/", "d/e/", "d/e/a", "f"]);
    root.symlink(name("l"), b"/d/e").unwrap();
    let world = World::new(vec![Mounted::new("/", root, Access::ReadWrite)]);
    let (_, place) = world.mounts().next().unwrap();
    place.rename_path(b"f", &place, b"l/../f").unwrap();
    place.rename_path(b"d", &place, b"n").unwrap();
    assert_eq!(place.stat_path(b"l/a", true), Err(Errno::Noent));
    place.symlink_path(b"n", b"d").unwrap();
    assert_eq!(place.stat_path(b"l/a", true).unwrap().size, 5);
    assert_eq!(place.stat_path(b"d/f", true).unwrap().size, 1);
    assert_eq!(place.read_link_path(b"d"), Ok(b"n".to_vec()));
}

#[test]
fn several_threads_can_use_it_at_once() {
    let paths = (0..8).flat_map(|d| {
        let files = (0..20).map(move |f| format!("d{d}/f{f}"));
        std::iter::once(format!("d{d}/")).chain(files)
    });
    let paths: Vec<_> = paths.collect();
    let (overlay, root, _) = overlay(&paths.iter().map(String::as_str).collect::<Vec<_>>());
    let barrier = Barrier::new(8);
    thread::scope(|scope| {
        for thread in 0..8 {
            let (root, barrier) = (&root, &barrier);
            scope.spawn(move || {
                barrier.wait();
                let (own, next) = (format!("d{thread}"), format!("d{}", (thread + 1) % 8));
                for file in 0..20 {
                    write(root, &format!("{own}/f{file}"), own.as_bytes());
                    let from = format!("{own}/f{file}");
                    rename(root, &from, &format!("{next}/from{thread}_{file}"));
                    names(&enter(root, &next));
                }
            });
        }
    });
    for thread in 0..8 {
        assert_eq!(names(&enter(&root, &format!("d{thread}"))).len(), 20);
    }
    assert_eq!(changes(&overlay).len(), 160);
}

#[cfg(target_os = "linux")]
mod host {
    use rustix::fs::{CWD, FileType as Kind, Mode, mknodat};
    use wasmrun_fs::HostDirectory;

    use super::*;

    fn open(path: &std::path::Path) -> Dir {
        Arc::new(HostDirectory::open(path).unwrap())
    }

    #[test]
    fn a_fifo_of_a_lower_can_be_removed_and_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let mode = Mode::RUSR | Mode::WUSR;
        mknodat(CWD, dir.path().join("p"), Kind::Fifo, mode, 0).unwrap();
        let (_, root, _) = over(vec![open(dir.path())]);
        let perm = Err(Errno::Perm);
        assert_eq!(root.open_at(name("p"), WRITE).err(), Some(Errno::Nxio));
        assert_eq!(root.rename(name("p"), &*root, name("q")), perm);
        assert_eq!(root.link(name("p"), &*root, name("q")), perm);
        assert_eq!(root.set_times_at(name("p"), PAST), perm);
        remove(&root, "p");
        assert_eq!(names(&root), [""; 0]);
        assert!(dir.path().join("p").exists());
    }

    #[test]
    fn a_large_directory_of_the_host_is_emptied_while_it_is_listed() {
        let (lower, upper) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for number in 0..500 {
            std::fs::write(lower.path().join(format!("file {number}")), b"").unwrap();
        }
        let overlay = Overlay::new(vec![open(lower.path())], open(upper.path()));
        let root = overlay.root();
        for number in 0..250 {
            write(&root, &format!("new {number}"), b"");
        }
        let mut count = 0;
        list_slowly(&root, |at| {
            count += 1;
            root.remove_file(Name::new(at).unwrap()).unwrap();
        });
        assert_eq!(count, 750);
        let again = Overlay::new(vec![open(lower.path())], open(upper.path()));
        assert_eq!(names(&again.root()), [""; 0]);
        assert_eq!(std::fs::read_dir(lower.path()).unwrap().count(), 500);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_device_below_cannot_be_written() {
    let lower = wasmrun_fs::HostDirectory::open("/dev".as_ref()).unwrap();
    let upper = Memory::new(MemoryLimits::default());
    let root = Overlay::new(vec![Arc::new(lower)], upper.root()).root();
    let write = OpenOptions {
        write: true,
        ..OpenOptions::default()
    };
    assert_eq!(root.open_at(name("null"), write).err(), Some(Errno::Rofs));
    let read = OpenOptions {
        read: true,
        ..OpenOptions::default()
    };
    let null = root.open_at(name("null"), read).unwrap();
    assert_eq!(null.file_type(), FileType::CharacterDevice);
    assert_eq!(null.read_at(&mut [0; 8], 0), Ok(0));
    assert_eq!(null.write_at(b"x", 0), Err(Errno::Badf));
}
