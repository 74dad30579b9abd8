import Formats
import Foundation
import Neural

/// What one needs to know of a machine to understand a report of what went wrong, or slow, on it.
public struct Diagnosis: CustomStringConvertible {
  private(set) var facts: [(name: String, value: String)] = []
  private(set) var warnings: [String] = []

  /// - Parameter folder: where runs are, or are to be.
  public init(folder: String) {
    let environment = ProcessInfo.processInfo.environment
    let processor = MachineMemory.text("/proc/cpuinfo")
    facts.append(("system", ProcessInfo.processInfo.operatingSystemVersionString))
    let model = Self.value(of: "model name", in: processor)
    facts.append(("processor", "\(model ?? "unknown"), \(Session.cores) cores"))
    #if AVX512
      facts.append(("vector code", "AVX-512"))
    #elseif arch(x86_64)
      facts.append(("vector code", "AVX2"))
      if ProductKernels.hasAVX512(processor) {
        warnings.append("the processor has AVX-512, which this program was not built for")
      }
    #endif
    facts.append(("OpenBLAS", "\(BLAS.coreName); \(BLAS.configuration)"))
    if let better = ProductKernels.better(than: BLAS.coreName, processor: processor) {
      warnings.append(
        """
        OpenBLAS does not know this processor and chose kernels for \(BLAS.coreName); all commands but \
        this one start anew with OPENBLAS_CORETYPE=\(better) unless that is set
        """)
    } else if ProductKernels.hasAVX512(processor), !ProductKernels.areWide(BLAS.coreName) {
      warnings.append("OpenBLAS uses kernels for \(BLAS.coreName), and the processor has AVX-512")
    } else if ProductKernels.areOld(BLAS.coreName) {
      warnings.append("OpenBLAS uses kernels for \(BLAS.coreName), which have no AVX2")
    }
    for name in ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"] {
      guard let value = environment[name] else { continue }
      warnings.append("\(name)=\(value) is set: products may be slower than without")
    }
    let libraries = Self.productLibraries(in: MachineMemory.text("/proc/self/maps"))
    facts.append(("libraries", libraries.joined(separator: ", ")))
    // OpenBLAS has wrappers of other names beside it. LAPACK is no matter: it calls what is there.
    for other in libraries where !other.contains("openblas") && !other.contains("/liblapack") {
      warnings.append("\(other) is in the process beside OpenBLAS: which one computes is chance")
    }
    let available = Self.value(of: "MemAvailable", in: MachineMemory.text("/proc/meminfo"))
      .flatMap { $0.split(separator: " ").first }.flatMap { Int($0) }
    facts.append(
      (
        "memory",
        "\(File.physicalMemory.asMemory)"
          + (available.map { ", \(($0 << 10).asMemory) available" } ?? "")
      ))
    if let limit = MachineMemory.groupLimit {
      facts.append(("control group", "at most \(limit.asMemory)"))
    }
    let place = FileManager.default.fileExists(atPath: folder) ? folder : "."
    let attributes = try? FileManager.default.attributesOfFileSystem(forPath: place)
    if let free = attributes?[.systemFreeSize] as? Int {
      facts.append(("disk", "\(free.asMemory) free for \(folder)"))
      if free < 1 << 30 { warnings.append("little is left of the disk for \(folder)") }
    }
  }

  public var description: String {
    (facts.map { "\($0.name): \($0.value)" } + warnings.map { "warning: \($0)" })
      .joined(separator: "\n")
  }

  /// What stands after the name and a colon, in its first line.
  static func value(of name: String, in text: String) -> String? {
    let line = text.split(separator: "\n").first { $0.hasPrefix(name) }
    return line?.split(separator: ":", maxSplits: 1).dropFirst().first.map {
      $0.trimmingCharacters(in: .whitespaces)
    }
  }

  /// The files among those that a process has mapped that hold linear algebra, each once.
  static func productLibraries(in maps: String) -> [String] {
    let paths = maps.split(separator: "\n").compactMap { line -> String? in
      guard let start = line.firstIndex(of: "/") else { return nil }
      let path = String(line[start...])
      let name = URL(fileURLWithPath: path).lastPathComponent
      let known = ["openblas", "blas", "lapack", "mkl_", "blis"]
      return known.contains { name.hasPrefix("lib\($0)") } ? path : nil
    }
    return Set(paths).sorted()
  }
}
