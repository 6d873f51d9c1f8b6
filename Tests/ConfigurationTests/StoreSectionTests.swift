import Configuration
import Testing
import YAMLText

@Suite struct StoreSectionTests {
  private static let sources = SecretSources(environment: { _ in nil }, file: { _ in nil })

  private func configuration(_ text: String) throws(TextProblems) -> VigilConfiguration {
    try VigilConfiguration.parse(text, file: "v.yaml", secrets: StoreSectionTests.sources)
  }

  private func problem(_ text: String) -> String {
    VigilConfiguration.check(text, file: "v.yaml", secrets: StoreSectionTests.sources).first?.description ?? ""
  }

  @Test func archiveAndFreeRoomAreConfigured() throws {
    let given = try configuration("store: { archive: /backup/vigil, free_warn: 12.5% }")
    #expect(given.archive == "/backup/vigil")
    #expect(given.freeWarn == 0.125)
    #expect(VigilConfiguration().archive == nil)
    #expect(VigilConfiguration().freeWarn == 0.1)
    #expect(try configuration("store: { free_warn: 0% }").freeWarn == 0)
  }

  @Test func wrongSharesAreNamed() {
    for wrong in ["10", "-1%", "91%", "much", "nan%"] {
      #expect(problem("store: { free_warn: \"\(wrong)\" }").contains("a share of the disk from 0% to 90%"), "\(wrong)")
    }
  }
}
