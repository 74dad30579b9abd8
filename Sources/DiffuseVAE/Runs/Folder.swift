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
