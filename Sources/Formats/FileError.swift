#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// What the system refused to do with a file or a folder, and why.
///
/// Unlike a ``FormatError`` it says nothing of what is in it: the same may succeed another time.
public struct FileError: Error, CustomStringConvertible, Equatable {
  public let file: String
  /// `cannot be read`, and so on.
  public let problem: String
  /// The system's number for the reason.
  public let code: Int32

  /// - Parameter code: unless given what the last call of the system left: to be made before another.
  public init(file: String, problem: String, code: Int32 = errno) {
    self.file = file
    self.problem = problem
    self.code = code
  }

  /// Whether the name that was given stands for nothing, or for what is not the user's: nothing that would
  /// pass.
  public var isMistake: Bool {
    [ENOENT, EEXIST, ENOTDIR, EISDIR, EACCES, EPERM, EROFS, ELOOP, ENAMETOOLONG].contains(code)
  }

  /// The problem, and what the system says of it.
  public var sentence: String { "\(problem): \(String(cString: strerror(code)))" }

  public var description: String { "\(file): \(sentence)" }
}
