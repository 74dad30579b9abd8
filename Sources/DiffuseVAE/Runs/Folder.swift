import Formats
import Foundation

/// Makes a folder, and those above it, where they are not there.
///
/// - Throws: `FileError` when that fails, or files cannot be written into it.
package func makeFolder(_ path: String) throws {
  func isFolder(_ path: String) -> Bool {
    var isFolder: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
      && isFolder.boolValue
  }
  if !isFolder(path) {
    let above = URL(fileURLWithPath: path).deletingLastPathComponent().path
    if !FileManager.default.fileExists(atPath: above) { try makeFolder(above) }
    if mkdir(path, 0o777) != 0 {
      let error = FileError(file: path, problem: "the folder cannot be made")
      // Another process may have made it meanwhile.
      guard isFolder(path) else { throw error }
    }
  }
  guard FileManager.default.isWritableFile(atPath: path) else {
    throw FileError(file: path, problem: "the folder cannot be written into", code: EACCES)
  }
}

extension FileError {
  /// What Foundation says, in the system's own words.
  init(file: String, problem: String, _ error: any Error) {
    let error = error as NSError
    let cause = error.userInfo[NSUnderlyingErrorKey] as? NSError ?? error
    let isOfSystem = cause.domain == NSPOSIXErrorDomain
    self.init(file: file, problem: problem, code: isOfSystem ? Int32(cause.code) : EIO)
  }
}

/// Makes all that `body` writes into the folder that it is given the content of an empty folder, or
/// nothing of it.
///
/// - Throws: what `body` does, or `FileError`.
func fillAtomically(_ path: String, _ body: (_ folder: String) throws -> Void) throws {
  // Beside it, hence on the same disk, where renaming is one step.
  let target = URL(fileURLWithPath: path).resolvingSymlinksInPath()
  let number = String(UInt64.random(in: 0 ... .max), radix: 36)
  let partial = target.deletingLastPathComponent()
    .appendingPathComponent(".\(target.lastPathComponent).\(number).tmp").path
  try makeFolder(partial)
  do {
    try body(partial)
    try File.move(folder: partial, to: target.path)
  } catch {
    try? FileManager.default.removeItem(atPath: partial)
    throw error
  }
}
