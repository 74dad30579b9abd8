// swift-tools-version: 6.2
import Foundation
import PackageDescription

// Vector kernels are written as plain loops; these flags let the compiler vectorise them.
// `-fno-math-errno`: without it a square root is a call on Linux and no loop around it vectorises.
#if arch(x86_64)
  /// `x86-64-v4`, AVX-512, if this machine has it, else `x86-64-v3`, AVX2; or what the environment
  /// says, one of these two, for a program that is to run on another machine.
  let level: String = {
    let (some, wide) = ("x86-64-v3", "x86-64-v4")
    if let chosen = Context.environment["DIFFUSEVAE_MARCH"], !chosen.isEmpty {
      return chosen == wide ? wide : some
    }
    let processor = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let words = Set(processor.components(separatedBy: .whitespacesAndNewlines))
    return words.isSuperset(of: ["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"])
      ? wide : some
  }()
  // The last of these lets loops use the whole width of AVX-512, too.
  let machine = [
    "-fno-math-errno", "-march=\(level)", "-Xclang", "-target-feature", "-Xclang",
    "-prefer-256-bit",
  ]
  /// What ``Session.begin`` checks for.
  let needed: [SwiftSetting] = level == "x86-64-v4" ? [.define("AVX512")] : []
#else
  let machine = ["-fno-math-errno"]
  let needed: [SwiftSetting] = []
#endif

/// For the targets whose loops touch every number: `swift run`, a debug build, is to be as fast
/// as release, so these are optimised in it, too. As whole modules: a function of another file is
/// inlined into a loop only then. (Several threads, because the index of a debug build wants one
/// output for each file.)
let optimised = ["-O", "-whole-module-optimization", "-num-threads", "2", "-disable-batch-mode"]
let fast: [SwiftSetting] = [
  .unsafeFlags(machine.flatMap { ["-Xcc", $0] }),
  .unsafeFlags(optimised, .when(configuration: .debug)),
]

let numerics = Target.Dependency.product(name: "RealModule", package: "swift-numerics")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
/// Off unless asked for, as by `swift build --traits TensorBoard`: nothing of it is built then.
let tensorBoard = TargetDependencyCondition.when(traits: ["TensorBoard"])

let package = Package(
  name: "diffusevae",
  products: [
    .library(name: "DiffuseVAE", targets: ["DiffuseVAE"]),
    .library(name: "Diffusion", targets: ["Diffusion"]),
    .library(name: "Evaluation", targets: ["Evaluation"]),
    .library(name: "Neural", targets: ["Neural"]),
    .executable(name: "diffusevae-train", targets: ["diffusevae-train"]),
    .executable(name: "diffusevae-sample", targets: ["diffusevae-sample"]),
    .executable(name: "interpolate", targets: ["interpolate"]),
    .executable(name: "diffusevae-evaluate", targets: ["diffusevae-evaluate"]),
  ],
  traits: [
    .trait(
      name: "TensorBoard",
      description: "Trainings also write their losses to event files, for TensorBoard.")
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
    .package(url: "https://github.com/apple/swift-numerics", exact: "1.1.1"),
    .package(url: "https://github.com/apple/swift-protobuf", exact: "1.39.0"),
    .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
  ],
  targets: [
    .systemLibrary(
      name: "COpenBLAS", pkgConfig: "openblas lapacke",
      providers: [.apt(["libopenblas-dev", "liblapacke-dev"])]),
    .systemLibrary(
      name: "CImage", pkgConfig: "libpng zlib", providers: [.apt(["libpng-dev", "zlib1g-dev"])]),
    .systemLibrary(name: "CZip", pkgConfig: "libzip", providers: [.apt(["libzip-dev"])]),
    .target(name: "Neural", dependencies: ["COpenBLAS", numerics], swiftSettings: fast),
    .target(name: "Diffusion", dependencies: [numerics]),
    .target(
      name: "Formats", dependencies: ["CImage", "CZip"], resources: [.embedInCode("digits.csv.gz")],
      swiftSettings: fast),
    .target(
      name: "EventFiles",
      dependencies: [
        .product(name: "SwiftProtobuf", package: "swift-protobuf", condition: tensorBoard)
      ], exclude: ["event.proto"]),
    .target(
      name: "DiffuseVAE",
      dependencies: [
        "Neural", "Diffusion", "Formats", numerics, logging,
        .target(name: "EventFiles", condition: tensorBoard),
        .product(name: "Yams", package: "Yams"),
      ], swiftSettings: needed),
    .target(
      name: "Evaluation",
      dependencies: ["DiffuseVAE", "Neural", "Diffusion", "Formats", numerics, logging]),
    .target(
      name: "CommandSupport", dependencies: ["DiffuseVAE", "Diffusion", "Formats", arguments]),
    .target(name: "CAllocations"),
    .executableTarget(
      name: "diffusevae-benchmark",
      dependencies: ["DiffuseVAE", "Neural", "Formats", "CAllocations", arguments]),
    .executableTarget(
      name: "diffusevae-train", dependencies: ["DiffuseVAE", "CommandSupport", arguments]),
    .executableTarget(
      name: "diffusevae-sample",
      dependencies: ["DiffuseVAE", "Formats", "Neural", "CommandSupport", arguments]),
    .executableTarget(
      name: "interpolate", dependencies: ["DiffuseVAE", "CommandSupport", arguments]),
    .executableTarget(
      name: "diffusevae-evaluate", dependencies: ["Evaluation", "CommandSupport", arguments]),
    .testTarget(name: "NeuralTests", dependencies: ["Neural", numerics]),
    .testTarget(name: "DiffusionTests", dependencies: ["Diffusion"]),
    .target(
      name: "CFaults", dependencies: ["CImage", "CZip"], path: "Tests/CFaults",
      linkerSettings: [.linkedLibrary("dl", .when(platforms: [.linux]))]),
    .testTarget(name: "FormatsTests", dependencies: ["Formats", "CImage", "CFaults"]),
    .testTarget(name: "EventFilesTests", dependencies: ["EventFiles"]),
    .testTarget(
      name: "DiffuseVAETests",
      dependencies: ["DiffuseVAE", "Neural", "Diffusion", "Formats", "CFaults", numerics, logging]
    ),
    .testTarget(
      name: "EvaluationTests",
      dependencies: ["Evaluation", "DiffuseVAE", "Neural", "Diffusion", "Formats", numerics]),
    .testTarget(
      name: "CommandTests",
      dependencies: [
        "diffusevae-train", "diffusevae-sample", "interpolate", "diffusevae-evaluate",
      ]),
  ],
  swiftLanguageModes: [.v6]
)
