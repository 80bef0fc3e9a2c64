//! Why an operation on files failed, in the words of POSIX.

use std::fmt;

macro_rules! errors {
    ($($name:ident $posix:literal $meaning:literal;)*) => {
        /// Why an operation on files failed: the error numbers of POSIX that files have.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Errno {
            $(#[doc = concat!("`", $posix, "`: ", $meaning, ".")] $name,)*
        }

        impl Errno {
            /// Its name in POSIX, such as `ENOENT`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Errno::$name => $posix,)*
                }
            }

            fn meaning(self) -> &'static str {
                match self {
                    $(Errno::$name => $meaning,)*
                }
            }
        }
    };
}

errors! {
    Acces "EACCES" "permission denied";
    Again "EAGAIN" "try again later";
    Badf "EBADF" "bad descriptor";
    Busy "EBUSY" "in use";
    Dquot "EDQUOT" "the user's quota is used up";
    Exist "EEXIST" "there is one already";
    Fbig "EFBIG" "the file would be too large";
    Ilseq "EILSEQ" "the name is not UTF-8";
    Intr "EINTR" "interrupted";
    Inval "EINVAL" "invalid argument";
    Io "EIO" "input or output failed";
    Isdir "EISDIR" "it is a directory";
    Loop "ELOOP" "too many symbolic links";
    Mfile "EMFILE" "too many open files";
    Mlink "EMLINK" "too many links";
    Nametoolong "ENAMETOOLONG" "the name is too long";
    Nfile "ENFILE" "too many open files in the system";
    Nodev "ENODEV" "no such device";
    Noent "ENOENT" "no such file or directory";
    Nomem "ENOMEM" "out of memory";
    Nospc "ENOSPC" "no space is left";
    Notdir "ENOTDIR" "it is no directory";
    Notempty "ENOTEMPTY" "the directory is not empty";
    Notsup "ENOTSUP" "not supported";
    Nxio "ENXIO" "no such device or address";
    Overflow "EOVERFLOW" "the value is too large";
    Perm "EPERM" "not permitted";
    Pipe "EPIPE" "nobody reads from the pipe";
    Rofs "EROFS" "the file system is read-only";
    Spipe "ESPIPE" "it has no places to seek to";
    Stale "ESTALE" "the file is no longer there";
    Txtbsy "ETXTBSY" "the program is being executed";
    Xdev "EXDEV" "not on one file system";
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.meaning())
    }
}

impl std::error::Error for Errno {}

#[cfg(target_os = "linux")]
impl From<rustix::io::Errno> for Errno {
    fn from(error: rustix::io::Errno) -> Self {
        use rustix::io::Errno as Linux;

        macro_rules! same {
            ($($linux:ident $ours:ident,)*) => {
                match error {
                    $(Linux::$linux => Errno::$ours,)*
                    // What else there is concerns no guest.
                    _ => Errno::Io,
                }
            };
        }
        same! {
            ACCESS Acces,
            AGAIN Again,
            BADF Badf,
            BUSY Busy,
            DQUOT Dquot,
            EXIST Exist,
            FBIG Fbig,
            ILSEQ Ilseq,
            INTR Intr,
            INVAL Inval,
            ISDIR Isdir,
            LOOP Loop,
            MFILE Mfile,
            MLINK Mlink,
            NAMETOOLONG Nametoolong,
            NFILE Nfile,
            NODEV Nodev,
            NOENT Noent,
            NOMEM Nomem,
            NOSPC Nospc,
            NOTDIR Notdir,
            NOTEMPTY Notempty,
            NOSYS Notsup,
            NOTSUP Notsup,
            NXIO Nxio,
            OVERFLOW Overflow,
            PERM Perm,
            PIPE Pipe,
            ROFS Rofs,
            SPIPE Spipe,
            STALE Stale,
            TXTBSY Txtbsy,
            XDEV Xdev,
        }
    }
}
