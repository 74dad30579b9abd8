import Formats
import Foundation

/// How much memory this process may have.
enum MachineMemory {
  /// In bytes: the machine's, or what the control groups of the process allow if that is less.
  static var limit: Int { min(File.physicalMemory, groupLimit ?? .max) }

  /// What the control groups that the process is in allow, in bytes; nil where that is no less than the
  /// machine has.
  static var groupLimit: Int? {
    groupLimit(of: text("/proc/self/cgroup"), root: "/sys/fs/cgroup").flatMap {
      $0 < File.physicalMemory ? $0 : nil
    }
  }

  /// - Parameters:
  ///   - groups: the content of `/proc/self/cgroup`: lines of number, controllers and path.
  ///   - root: where groups are folders.
  static func groupLimit(of groups: String, root: String) -> Int? {
    let limits = groups.split(separator: "\n").flatMap { line -> [Int] in
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3 else { return [] }
      // The second version has one hierarchy for all controllers, number 0; the first one for each.
      let isUnified = parts[0] == "0" && parts[1].isEmpty
      guard isUnified || parts[1].split(separator: ",").contains("memory") else { return [] }
      let (top, name) =
        isUnified ? (root, "memory.max") : (root + "/memory", "memory.limit_in_bytes")
      // Every group lies within those above it, and so does its memory.
      var folders = [top]
      for part in parts[2].split(separator: "/") {
        folders.append("\(folders.last ?? top)/\(part)")
      }
      return folders.compactMap {
        Int(text("\($0)/\(name)").trimmingCharacters(in: .whitespacesAndNewlines))
      }
    }
    return limits.min()
  }

  /// Bytes of memory that the process has now; nil where the system does not tell.
  static var resident: Int? {
    let pages = text("/proc/self/statm").split(separator: " ").dropFirst().first.flatMap { Int($0) }
    return pages.map { $0 * Int(sysconf(Int32(_SC_PAGESIZE))) }
  }

  /// Files of the system have no size: they are read to their end. Empty where there is none.
  static func text(_ path: String) -> String {
    let bytes = try? FileHandle(forReadingAtPath: path)?.readToEnd()
    return String(decoding: bytes ?? Data(), as: UTF8.self)
  }
}
