// swift-tools-version: 6.2
import PackageDescription

// A package of its own: what it builds is instrumented, and of no use without scripts/fuzz, which knows
// the compiler's options.
let package = Package(
  name: "fuzz",
  dependencies: [.package(name: "diffusevae", path: "../..")],
  targets: [
    .systemLibrary(name: "CFuzzer"),
    .executableTarget(
      name: "Fuzz", dependencies: ["CFuzzer", .product(name: "DiffuseVAE", package: "diffusevae")]),
  ],
  swiftLanguageModes: [.v6]
)
