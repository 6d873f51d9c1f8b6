import Configuration
import Testing
import YAMLText

@Suite struct AnswerConfigurationTests {
  private static let sources = SecretSources(
    environment: {
      ["TOKEN": "0123456789abcdef", "SHORT": "0123456789", "KEY": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"][$0]
    }, file: { _ in nil })

  private func check(_ text: String) -> [String] {
    VigilConfiguration.check(text, file: "v.yaml", secrets: AnswerConfigurationTests.sources).map(\.description)
  }

  @Test func answersAreConfigured() throws {
    let configuration = try VigilConfiguration.parse(
      """
      api: { public_url: "https://vigil.example/x", token: "env:TOKEN", callback_expiry: 30m }
      people: [{ id: u-1, receivers: [pager] }, { id: u-2, receivers: [mail] }]
      receivers:
        - { name: pager, url: "https://pager.example/hook", secret: "env:KEY", may_accept: true }
        - { name: mail, url: "https://mail.example/hook", secret: "env:KEY" }
      """, file: "v.yaml", secrets: AnswerConfigurationTests.sources)
    #expect(configuration.api.publicURL?.text == "https://vigil.example/x")
    #expect(configuration.api.token?.value == "0123456789abcdef")
    #expect(configuration.api.callbackExpiry == 1_800_000)
    #expect(configuration.knownUsers == ["u-1", "u-2"])
    #expect(configuration.receivers.map(\.mayAccept) == [true, false])
    #expect("\(configuration)".contains("0123456789abcdef") == false)
    #expect(VigilConfiguration().api.callbackExpiry == 3_600_000)
  }

  @Test("E6: only a known user may accept by way of a receiver, so there must be one")
  func someoneMustBeKnown() throws {
    let receiver = #"receivers: [{ name: pager, url: "https://p.example/", secret: "env:KEY", may_accept: true }]"#
    let configuration = try VigilConfiguration.parse(
      receiver, file: "v.yaml", secrets: AnswerConfigurationTests.sources)
    #expect(configuration.warnings.contains { "\($0)".contains("no user is known") })
  }

  @Test func wrongSettingsAreNamed() {
    #expect(check("api: { public_url: \"https://v.example/?a=b\" }").first?.contains("`public_url` must be") == true)
    #expect(check("api: { token: \"env:SHORT\" }").first?.contains("at least 16 characters") == true)
    #expect(check("api: { token: \"0123456789abcdef\" }").first?.contains("env:NAME or file:PATH") == true)
    #expect(check("api: { callback_expiry: 5s }").first?.contains("callback_expiry") == true)
    #expect(check("api: { publik_url: x }").first?.contains("did you mean `public_url`") == true)
    let clear = check("profile: production\napi: { public_url: \"http://v.example\" }")
    #expect(clear.contains { $0.contains("answers would come in the clear") })
  }
}
