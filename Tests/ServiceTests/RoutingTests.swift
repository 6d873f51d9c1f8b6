import Configuration
import Testing
import VitalModel

@testable import Service

/// Who hears of what, from the configuration's routes.
@Suite struct RoutingTests {
  private func routing(_ routes: String) throws -> Routing {
    let names = ["pager", "desk", "engineer", "second"]
    let receivers = names.map { "  - { name: \($0), url: \"https://\($0).example/\", secret: env:S }" }
    let text = "receivers:\n" + receivers.joined(separator: "\n") + "\n" + routes
    let secrets = SecretSources(
      environment: { _ in "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" }, file: { _ in nil })
    return Routing(try VigilConfiguration.parse(text, file: "v.yaml", secrets: secrets))
  }

  private func alert(_ priority: Priority, _ kind: AlertKind, unit: String?) -> AlertDocument {
    var document = AlertDocument()
    document.priority = priority
    document.kind = kind
    document.locationUnit = unit
    return document
  }

  @Test func everyMatchingRouteContributesEachReceiverOnceInOrder() throws {
    let routing = try routing(
      """
      routes:
        - { match: { priority: [high], unit: w7 }, to: [pager, desk] }
        - { match: { kind: [technical] }, to: [engineer, desk] }
        - { match: { priority: [high] }, to: [pager, second] }
      """)
    func names(_ document: AlertDocument) -> [String] { routing.receivers(for: document, at: 0).map(\.name) }
    #expect(names(alert(.high, .technical, unit: "w7")) == ["pager", "desk", "engineer", "second"])
    #expect(names(alert(.high, .physiological, unit: nil)) == ["pager", "second"])
    #expect(names(alert(.low, .physiological, unit: "w7")).isEmpty)
  }

  @Test func withoutRoutesEverybodyHearsEverything() throws {
    let everybody = try routing("").receivers(for: alert(.low, .technical, unit: nil), at: 0).map(\.name)
    #expect(everybody == ["pager", "desk", "engineer", "second"])
  }
}
