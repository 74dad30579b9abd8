import Testing

@testable import DiffuseVAE

@Suite struct ProductKernelsTests {
  static let wide = "flags\t\t: fpu avx2 fma avx512f avx512dq avx512cd avx512bw avx512vl ht"

  @Test("A processor has AVX-512 if it has all parts of it")
  func processor() {
    #expect(ProductKernels.hasAVX512(Self.wide))
    #expect(!ProductKernels.hasAVX512("flags\t\t: fpu avx2 avx512f avx512dq avx512cd avx512bw"))
    #expect(!ProductKernels.hasAVX512(""))
  }

  @Test(
    "Better kernels are named only where OpenBLAS fell back to old ones and the processor has more",
    arguments: [
      ("Prescott", Self.wide, "SkylakeX"), ("Prescott", Self.wide + " avx512_bf16", "Cooperlake"),
      ("prescott", "avx2 fma", "Haswell"),
      ("Prescott", "avx2", nil), ("Prescott", "", nil), ("Haswell", Self.wide, nil),
      ("SkylakeX", Self.wide, nil), ("Zen", "avx2 fma", nil), ("unknown", Self.wide, nil),
    ] as [(String, String, String?)])
  func better(chosen: String, processor: String, expected: String?) {
    #expect(ProductKernels.better(than: chosen, processor: processor) == expected)
  }
}
