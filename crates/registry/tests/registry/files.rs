//! Images of files, and what is refused of them.

use std::fs;

use wasmrun_guest::ErrorKind;
use wasmrun_registry::{Digest, Limits, PullPolicy, QUIET};

use crate::content::{
    Blob, IMAGE_CONFIG, INDEX, TAR, WASM, WASM_CONFIG, artifact, gzip, image_config, manifest,
    preview1, preview2, says, tar, wasm_config, zstd,
};
use crate::own::{Registry, client, store};

const RUN: &str = r#"{"Entrypoint":["/app.wasm","-v"],"Cmd":["a","b"],"Env":["K=V=W","E="],"WorkingDir":"/data"}"#;

/// What it comes to when this is pulled.
fn pulled(manifest: &Blob, blobs: &[&Blob]) -> wasmrun_guest::Result<wasmrun_registry::Image> {
    let registry = Registry::honest();
    registry.put("1", manifest, blobs);
    let (directory, store) = store();
    let pulled = store.pull(
        &client(),
        &registry.reference("1"),
        PullPolicy::IfNotPresent,
        QUIET,
    );
    if pulled.is_ok() {
        // What the test looks at stays.
        let _ = directory.keep();
    } else {
        assert!(store.images().expect("readable").is_empty());
    }
    pulled
}

#[test]
fn an_image_of_files_is_a_program_with_layers() {
    let old = tar(&[
        ("app.wasm", &preview1("old")),
        ("data/x", b"1"),
        ("data/y", b"2"),
    ]);
    let middle = tar(&[("bin/app", &preview1("new"))]);
    let new = {
        let mut archive = tar::Builder::new(Vec::new());
        let mut link = tar::Header::new_ustar();
        link.set_entry_type(tar::EntryType::Symlink);
        link.set_size(0);
        archive
            .append_link(&mut link, "app.wasm", "bin/app")
            .expect("a member");
        let mut whiteout = tar::Header::new_ustar();
        whiteout.set_size(0);
        archive
            .append_data(&mut whiteout, "data/.wh.x", &b""[..])
            .expect("a member");
        archive.into_inner().expect("an archive")
    };
    let diffs = [Digest::of(&old), Digest::of(&middle), Digest::of(&new)];
    for os in ["wasi", "wasip1"] {
        let config = image_config(os, RUN, &diffs);
        let layers = [
            Blob::new(TAR, old.clone()),
            Blob::new(&format!("{TAR}+gzip"), gzip(&middle)),
            Blob::new(&format!("{TAR}+zstd"), zstd(&new)),
        ];
        let all: Vec<&Blob> = layers.iter().collect();
        let image =
            pulled(&manifest(&config, &all), &[&config, all[0], all[1], all[2]]).expect("pulled");
        assert_eq!(fs::read(&image.program).expect("readable"), preview1("new"));
        assert_eq!(
            (image.name.as_str(), image.working_directory.as_deref()),
            ("/app.wasm", Some("/data"))
        );
        assert_eq!(
            (image.entrypoint, image.cmd),
            (vec!["-v".into()], vec!["a".into(), "b".into()])
        );
        assert_eq!(
            image.env,
            [("K".into(), "V=W".into()), ("E".into(), String::new())]
        );
        let found: Vec<_> = image
            .layers
            .iter()
            .map(|layer| fs::read(layer).expect("readable"))
            .collect();
        assert_eq!(found, [old.clone(), middle.clone(), new.clone()]);
    }
}

#[test]
fn a_program_is_found_by_cmd_and_from_the_working_directory() {
    let files = tar(&[("data/app", &preview1("x")), ("app", &preview1("y"))]);
    let diffs = [Digest::of(&files)];
    let layer = Blob::new(TAR, files);
    for (run, cmd, program) in [
        (r#"{"Cmd":["app","-v"],"WorkingDir":"/data"}"#, "-v", "x"),
        (
            r#"{"Entrypoint":[],"Cmd":["/app","-q"],"WorkingDir":"/data"}"#,
            "-q",
            "y",
        ),
        (
            r#"{"Cmd":["./app","1"],"Entrypoint":null,"WorkingDir":null,"Env":null}"#,
            "1",
            "y",
        ),
    ] {
        let config = image_config("wasip1", run, &diffs);
        let image = pulled(&manifest(&config, &[&layer]), &[&config, &layer]).expect("pulled");
        assert_eq!(
            (image.entrypoint, image.cmd),
            (vec![], vec![cmd.to_owned()])
        );
        assert_eq!(
            fs::read(&image.program).expect("readable"),
            preview1(program),
            "{run}"
        );
    }
}

#[test]
fn of_an_index_the_platform_decides() {
    let [ours, config, layer] = artifact(preview1("ours"));
    let other = manifest(&wasm_config("linux"), &[&layer]);
    let text = format!(
        r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{},{}]}}"#,
        other.described(r#","platform":{"os":"linux","architecture":"amd64"}"#),
        ours.described(r#","platform":{"os":"wasip1","architecture":"wasm"}"#),
    );
    let index = Blob::new(INDEX, text);
    let registry = Registry::honest();
    registry.put("x", &ours, &[&config, &layer]);
    registry.put("1", &index, &[]);
    let (_directory, store) = store();
    let reference = registry.reference("1");
    let image = store
        .pull(&client(), &reference, PullPolicy::IfNotPresent, QUIET)
        .expect("pulled");
    assert_eq!(image.manifest, ours.digest());
    // Both digests mean it.
    for digest in [index.digest(), ours.digest()] {
        let by_digest = format!("oci://h/r@{digest}").parse().expect("a reference");
        assert_eq!(
            store.find(&by_digest).expect("readable"),
            Some(image.clone())
        );
    }
}

#[test]
fn older_artifacts_are_read() {
    for (config, layer) in [
        (
            "application/vnd.wasm.config.v1+json",
            "application/vnd.wasm.content.layer.v1+wasm",
        ),
        ("application/vnd.unknown.config.v1+json", "application/wasm"),
        ("application/vnd.oci.empty.v1+json", "application/wasm"),
    ] {
        let config = Blob::new(config, "{}");
        let layer = Blob::new(layer, preview1("x"));
        let image = pulled(&manifest(&config, &[&layer]), &[&config, &layer]).expect("pulled");
        assert_eq!(image.digest, layer.digest());
    }
    let layer = Blob::new(
        "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm",
        preview2(),
    );
    let config = image_config(
        "wasi",
        r#"{"Entrypoint":["/app.wasm","-v"]}"#,
        &[layer.digest()],
    );
    let image = pulled(&manifest(&config, &[&layer]), &[&config, &layer]).expect("pulled");
    assert_eq!(
        (image.digest, image.entrypoint),
        (layer.digest(), vec!["-v".to_owned()])
    );
}

#[test]
fn a_title_is_a_name_and_not_a_path() {
    let config = wasm_config("wasip1");
    let layer = Blob::new(WASM, preview1("x"));
    let layers = layer
        .described(r#","annotations":{"org.opencontainers.image.title":"../../etc/app.wasm"}"#);
    let text = format!(
        r#"{{"schemaVersion":2,"config":{},"layers":[{layers}]}}"#,
        config.descriptor()
    );
    let manifest = Blob::new(crate::content::MANIFEST, text);
    assert_eq!(
        pulled(&manifest, &[&config, &layer]).expect("pulled").name,
        "app.wasm"
    );
}

#[test]
fn what_is_no_program_is_refused_in_one_line() {
    let wasm = Blob::new(WASM, preview1("x"));
    let two = Blob::new(WASM, preview1("y"));
    let files = tar(&[("app.wasm", &preview1("x"))]);
    let diff = Digest::of(&files);
    let layer = Blob::new(TAR, files.clone());
    let config = wasm_config("wasip1");
    let image = |run: &str| image_config("wasip1", run, &[diff]);
    let run = r#"{"Entrypoint":["/app.wasm"]}"#;
    let native = Blob::new("application/vnd.example.precompiled", "\u{7f}ELF");
    let linux = Blob::new(
        IMAGE_CONFIG,
        format!(
            r#"{{"os":"linux","architecture":"amd64","config":{run},"rootfs":{{"type":"layers","diff_ids":["{diff}"]}}}}"#
        ),
    );
    let elf = tar(&[("app.wasm", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0")]);
    let elf_config = image_config("wasip1", run, &[Digest::of(&elf)]);
    let elf = Blob::new(TAR, elf);
    let out = {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..9].copy_from_slice(b"../escape");
        header.set_size(0);
        header.set_cksum();
        archive.append(&header, &b""[..]).expect("a member");
        archive.into_inner().expect("an archive")
    };
    let out_config = image_config("wasip1", run, &[Digest::of(&out)]);
    let out = Blob::new(TAR, out);
    let garbage = Blob::new(&format!("{TAR}+gzip"), "no gzip");
    let bomb = Blob::new(&format!("{TAR}+gzip"), gzip(&files));
    let other_diff = image_config("wasip1", run, &[Digest::of(b"else")]);
    let about_else = Blob::new(
        WASM_CONFIG,
        format!(r#"{{"os":"wasip1","architecture":"wasm","layerDigests":["{diff}"]}}"#),
    );
    let component = Blob::new(WASM, preview2());
    let text = Blob::new("text/plain", "x");
    type Case<'a> = (&'a Blob, &'a [&'a Blob], &'a [&'a str]);
    let cases: &[Case<'_>] = &[
        (
            &config,
            &[&wasm, &two],
            &["2 of its layers are WebAssembly"],
        ),
        (&config, &[], &["it has no layers"]),
        (&config, &[&layer], &["none of its layers is WebAssembly"]),
        (&config, &[&wasm, &layer], &["one or the other"]),
        (
            &config,
            &[&native],
            &[
                "application/vnd.example.precompiled",
                "neither WebAssembly nor files",
            ],
        ),
        (
            &text,
            &[&wasm],
            &["its configuration is of the type text/plain"],
        ),
        (
            &image("{}"),
            &[&layer],
            &["neither an entrypoint nor a cmd"],
        ),
        (
            &image(r#"{"Entrypoint":[""]}"#),
            &[&layer],
            &["neither an entrypoint nor a cmd"],
        ),
        (
            &image(r#"{"Entrypoint":["/else"]}"#),
            &[&layer],
            &["`/else` is not in its layers"],
        ),
        (
            &image(r#"{"Entrypoint":["/app.wasm"],"Env":["x"]}"#),
            &[&layer],
            &["NAME=VALUE"],
        ),
        (
            &image(run),
            &[&layer, &layer],
            &["tells of 1 layers, but it has 2"],
        ),
        (&other_diff, &[&layer], &["once it is decompressed"]),
        (&other_diff, &[&bomb], &["once it is decompressed"]),
        (&image(run), &[&garbage], &["cannot be decompressed"]),
        (&linux, &[&layer], &["it is for linux/amd64"]),
        (
            &elf_config,
            &[&elf],
            &["its program `/app.wasm` is none", "ELF"],
        ),
        (&out_config, &[&out], &["`../escape`", "leads out"]),
        (
            &config,
            &[&component],
            &["WASI preview2", "it is for wasip1"],
        ),
        (
            &wasm_config("wasip2"),
            &[&wasm],
            &["WASI preview1", "it is for wasip2"],
        ),
        (
            &wasm_config("js"),
            &[&wasm],
            &["WASI preview1", "it is for js"],
        ),
        (&about_else, &[&wasm], &["about other layers"]),
        (
            &Blob::new(WASM_CONFIG, "[]"),
            &[&wasm],
            &["its configuration is malformed"],
        ),
        (
            &config,
            &[&Blob::new(WASM, "no wasm")],
            &["its program `thing.wasm` is none"],
        ),
    ];
    for (config, layers, what) in cases {
        let mut blobs = vec![*config];
        blobs.extend(*layers);
        let error = pulled(&manifest(config, layers), &blobs).expect_err(what[0]);
        assert!(
            matches!(
                error.kind(),
                ErrorKind::Invalid | ErrorKind::Unsupported | ErrorKind::NotWasm
            ),
            "{error:?}"
        );
        says(&error, what);
    }
}

#[test]
fn what_is_too_large_is_refused_before_it_is_there() {
    let files = tar(&[("app.wasm", &preview1("x")), ("zeros", &vec![0; 1 << 20])]);
    let config = image_config("wasip1", r#"{"Cmd":["app.wasm"]}"#, &[Digest::of(&files)]);
    let layer = Blob::new(&format!("{TAR}+gzip"), gzip(&files));
    let manifest = manifest(&config, &[&layer]);
    let limited = |change: &dyn Fn(&mut Limits)| {
        let registry = Registry::honest();
        registry.put("1", &manifest, &[&config, &layer]);
        let (_directory, store) = store();
        let mut limits = Limits::default();
        change(&mut limits);
        let store = store.with_limits(limits);
        store
            .pull(
                &client(),
                &registry.reference("1"),
                PullPolicy::IfNotPresent,
                QUIET,
            )
            .expect_err("too large")
    };
    says(
        &limited(&|limits| limits.unpacked = 1 << 20),
        &["larger, decompressed"],
    );
    says(
        &limited(&|limits| limits.entries = 1),
        &["more than 1 files"],
    );
    says(
        &limited(&|limits| limits.layer = 100),
        &["no more than 100 are accepted"],
    );
    says(&limited(&|limits| limits.layers = 0), &["it has 1 layers"]);
}
