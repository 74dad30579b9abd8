import Testing

@testable import DiffuseVAE

@Suite struct DiagnosisTests {
  @Test("Libraries of products are found among what a process has mapped, each once")
  func libraries() {
    let maps = """
      7f1-7f2 r--p 00000000 08:01 12  /usr/lib/x86_64-linux-gnu/libopenblasp-r0.3.21.so
      7f2-7f3 r-xp 00000000 08:01 12  /usr/lib/x86_64-linux-gnu/libopenblasp-r0.3.21.so
      7f3-7f4 r--p 00000000 08:01 13  /opt/intel/libmkl_rt.so.2
      7f4-7f5 rw-p 00000000 00:00 0
      7f5-7f6 r--p 00000000 08:01 14  /usr/lib/liblapacke.so.3
      7f6-7f7 r--p 00000000 08:01 15  /home/blas/libother.so
      """
    #expect(
      Diagnosis.productLibraries(in: maps)
        == [
          "/opt/intel/libmkl_rt.so.2", "/usr/lib/liblapacke.so.3",
          "/usr/lib/x86_64-linux-gnu/libopenblasp-r0.3.21.so",
        ])
  }

  @Test("What stands after a name is its first line's; nothing is nil")
  func values() {
    let text = "processor\t: 0\nmodel name\t: A: fast one\nmodel name\t: another\n"
    #expect(Diagnosis.value(of: "model name", in: text) == "A: fast one")
    #expect(Diagnosis.value(of: "flags", in: text) == nil)
    #expect(Diagnosis.value(of: "a", in: "") == nil)
  }

  @Test("It names the kernels that are in use")
  func whole() {
    let text = Diagnosis(folder: "/").description
    #expect(text.contains("OpenBLAS: ") && text.contains("disk: ") && text.contains("libopenblas"))
  }
}
