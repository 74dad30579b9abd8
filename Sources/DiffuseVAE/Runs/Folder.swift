import Formats
import Foundation

/// Makes a folder, and those above it, where they are not there.
///
/// - Throws: ``UserError`` when that fails, or files cannot be written into it.
package func makeFolder(_ path: String) throws {
  do {
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  } catch {
    throw UserError("\(path): the folder cannot be made (\(error.reason))")
  }
  guard FileManager.default.isWritableFile(atPath: path) else {
    throw UserError("\(path): the folder cannot be written into")
  }
}

/// Makes all that `body` writes into the folder that it is given the content of an empty folder, or
/// nothing of it.
///
/// - Throws: what `body` does, or `FormatError`.
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
