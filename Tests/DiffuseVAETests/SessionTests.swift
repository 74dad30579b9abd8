import Testing

@testable import DiffuseVAE

@Suite struct SessionTests {
  @Test("A processor has AVX-512 if it has all parts of it")
  func processor() {
    #expect(Session.hasAVX512("flags\t\t: fpu avx2 avx512f avx512dq avx512cd avx512bw avx512vl ht"))
    #expect(!Session.hasAVX512("flags\t\t: fpu avx2 avx512f avx512dq avx512cd avx512bw"))
    #expect(!Session.hasAVX512(""))
  }
}
