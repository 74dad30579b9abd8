import Foundation
import Neural

/// The kernels that OpenBLAS multiplies with on this processor.
///
/// It knows processors by their model's number, and takes one that is newer than itself for an old one
/// without AVX2: products then take three times as long and more. The variable `OPENBLAS_CORETYPE` names
/// others, but OpenBLAS reads it before `main` begins.
enum ProductKernels {
  /// Names of kernels without AVX2, some of which OpenBLAS falls back to.
  private static let old: Set = [
    "prescott", "core2", "nehalem", "sandybridge", "barcelona", "bulldozer", "generic",
  ]

  /// Names of those with AVX-512.
  private static let wide: Set = ["skylakex", "cooperlake", "sapphirerapids"]

  static func areWide(_ name: String) -> Bool { wide.contains(name.lowercased()) }

  static func areOld(_ name: String) -> Bool { old.contains(name.lowercased()) }

  /// Whether a processor described by that, Linux's `/proc/cpuinfo`, has what x86-64-v4 stands for.
  static func hasAVX512(_ description: String) -> Bool {
    words(description)
      .isSuperset(of: ["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"])
  }

  /// Kernels that the processor described by that could use where OpenBLAS chose those called `chosen`; nil
  /// if there are none that are sure to be faster.
  static func better(than chosen: String, processor description: String) -> String? {
    guard areOld(chosen) else { return nil }
    let flags = words(description)
    if hasAVX512(description) { return flags.contains("avx512_bf16") ? "Cooperlake" : "SkylakeX" }
    return flags.isSuperset(of: ["avx2", "fma"]) ? "Haswell" : nil
  }

  /// Starts the program anew with the kernels that fit the processor, unless those in use do or the
  /// environment has chosen. Returns if there is nothing to do, or if the system refuses.
  static func restartIfOld() {
    let name = "OPENBLAS_CORETYPE"
    guard getenv(name) == nil,
      let better = better(
        than: BLAS.coreName, processor: MachineMemory.text("/proc/cpuinfo"))
    else { return }
    setenv(name, better, 1)
    execv("/proc/self/exe", CommandLine.unsafeArgv)
    unsetenv(name)
  }

  private static func words(_ text: String) -> Set<String> {
    Set(text.components(separatedBy: .whitespacesAndNewlines))
  }
}
