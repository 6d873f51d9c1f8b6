import Testing
import VitalModel

@testable import WebhookFormats

@Suite struct FHIRTests {
  private func entries(_ webhook: Webhook, _ payload: WebhookPayload = .full) throws -> [JSONView] {
    try JSONView(encode(.fhir, webhook, payload: payload))["entry"].list
  }

  private func kinds(_ entries: [JSONView]) -> [String?] { entries.map { $0["resource"]["resourceType"].text } }

  @Test func anOpeningCreatesObservationIssueAndCommunication() throws {
    let encoded = encode(.fhir)
    #expect(encoded.contentType == "application/fhir+json")
    #expect(encoded.headers.map(\.name) == ["Accept", "Prefer"])
    let bundle = try JSONView(encoded)
    #expect(bundle["resourceType"].text == "Bundle" && bundle["type"].text == "transaction")
    let entries = bundle["entry"].list
    #expect(kinds(entries) == ["Observation", "DetectedIssue", "Communication"])
    // Sent twice, it changes nothing.
    #expect(
      entries.map { $0["request"]["ifNoneExist"].text } == [
        "identifier=urn:vigil:webhook|a-00112233445566778899aabbccddeeff-3",
        "identifier=urn:vigil:alert|a-00112233445566778899aabbccddeeff",
        "identifier=urn:vigil:webhook|a-00112233445566778899aabbccddeeff-3",
      ])
    for entry in entries {
      #expect(entry["request"]["method"].text == "POST")
      #expect(entry["fullUrl"].text?.count == 45)
    }
    #expect(Set(entries.map { $0["fullUrl"].text }).count == 3)
  }

  @Test func whatFollowsUpdatesTheAlertUnderItsIdentifier() throws {
    for type in [WebhookType.updated, .escalated, .acknowledged, .resolved] {
      let entries = try entries(sampleWebhook(type))
      let issue = try #require(entries.first { $0["resource"]["resourceType"].text == "DetectedIssue" })
      #expect(issue["request"]["method"].text == "PUT")
      #expect(
        issue["request"]["url"].text
          == "DetectedIssue?identifier=urn:vigil:alert|a-00112233445566778899aabbccddeeff")
      #expect(issue["resource"]["status"].text == (type == .resolved ? "final" : "preliminary"))
      #expect(issue["resource"]["mitigation"][0]["author"]["identifier"]["value"].text == "user-secret")
      #expect(entries.last?["request"]["method"].text == "POST")
    }
  }

  @Test func theObservationIsACodedVitalSign() throws {
    let resource = try entries(sampleWebhook())[0]["resource"]
    #expect(resource["category"][0]["coding"][0]["code"].text == "vital-signs")
    #expect(resource["code"]["coding"].list.map { $0["code"].text } == ["2708-6", "59408-5", "150456"])
    #expect(resource["code"]["coding"][2]["system"].text == "urn:iso:std:iso:11073:10101")
    #expect(resource["subject"]["identifier"]["value"].text == "p-secret-017")
    #expect(resource["valueQuantity"]["value"].number == 42.42)
    #expect(resource["valueQuantity"]["system"].text == "http://unitsofmeasure.org")
    #expect(resource["valueQuantity"]["code"].text == "%")
    #expect(resource["interpretation"][0]["coding"][0]["code"].text == "L")
    #expect(resource["referenceRange"][0]["low"]["value"].number == 90)
    #expect(resource["effectiveDateTime"].text == "2026-11-20T22:37:31.000Z")
    // R4 allows the extension on observations, not on a DetectedIssue.
    #expect(resource["extension"][0]["valueReference"]["display"].text == "ward-7 bed 12")
    #expect(try entries(sampleWebhook())[1]["resource"]["extension"].isNull)
  }

  @Test func bloodPressureIsAPanel() throws {
    var alert = sampleAlert()
    (alert.code, alert.unit) = ("sbp", "mm[Hg]")
    let resource = try entries(sampleWebhook(.opened, [alert]))[0]["resource"]
    #expect(resource["code"]["coding"][0]["code"].text == "85354-9")
    #expect(resource["valueQuantity"].isNull)
    #expect(resource["component"][0]["code"]["coding"][0]["code"].text == "8480-6")
    #expect(resource["component"][0]["valueQuantity"]["value"].number == 42.42)
    #expect(resource["component"][1]["dataAbsentReason"]["coding"][0]["code"].text == "unknown")
  }

  @Test func aLetterStaysALetterAndAVitalWithoutCodeKeepsItsKey() throws {
    var alert = sampleAlert()
    (alert.code, alert.unit, alert.value) = ("consciousness", "{ACVPU}", DecimalValue(mantissa: 3))
    #expect(try entries(sampleWebhook(.opened, [alert]))[0]["resource"]["valueCodeableConcept"]["text"].text == "P")
    (alert.code, alert.unit, alert.value) = ("skin_temp", "Cel", DecimalValue(mantissa: 30))
    let resource = try entries(sampleWebhook(.opened, [alert]))[0]["resource"]
    #expect(resource["code"]["coding"][0]["code"].text == "skin_temp")
  }

  /// A rate, a spread, a score or a count must not reach a chart as a vital sign.
  @Test func onlyWhatWasMeasuredBecomesAnObservation() throws {
    #expect(try kinds(entries(sampleWebhook(isMeasured: false))) == ["DetectedIssue", "Communication"])
    var score = sampleAlert()
    (score.code, score.unit) = ("news2", "{score}")
    #expect(try kinds(entries(sampleWebhook(.opened, [score]))) == ["DetectedIssue", "Communication"])
    var other = sampleAlert()
    other.unit = "/min"
    #expect(try kinds(entries(sampleWebhook(.opened, [other]))) == ["DetectedIssue", "Communication"])
    other.value = nil
    #expect(try kinds(entries(sampleWebhook(.opened, [other]))) == ["DetectedIssue", "Communication"])
  }

  @Test func aThinBundleHasNoObservationAndNoPatient() throws {
    let entries = try entries(sampleWebhook(), .thin)
    #expect(kinds(entries) == ["DetectedIssue", "Communication"])
    #expect(entries[0]["resource"]["patient"].isNull)
    #expect(entries[1]["resource"]["subject"].isNull)
    #expect(entries[1]["resource"]["payload"].count == 1)
    #expect(entries[0]["resource"]["mitigation"][0]["author"].isNull)
  }

  @Test func simulatedIsHealthTestDataInEveryResource() throws {
    var alert = sampleAlert()
    alert.simulated = true
    for entry in try entries(sampleWebhook(.opened, [alert])) {
      #expect(entry["resource"]["meta"]["security"][0]["code"].text == "HTEST")
    }
    for entry in try entries(sampleWebhook()) { #expect(entry["resource"]["meta"].isNull) }
  }

  @Test func aDigestClosesEveryAlertItLists() throws {
    var other = sampleAlert()
    other.alertID = "a-2"
    let entries = try entries(sampleWebhook(.digest, [sampleAlert(), other]))
    #expect(kinds(entries) == ["DetectedIssue", "DetectedIssue", "Communication"])
    #expect(entries[1]["resource"]["status"].text == "final")
    #expect(entries[2]["resource"]["about"].count == 2)
    #expect(entries[2]["resource"]["about"][1]["reference"].text == entries[1]["fullUrl"].text)
  }

  @Test func prioritiesAndSeverities() throws {
    var alert = sampleAlert()
    var found: [String?] = []
    for priority in Priority.allCases.reversed() {
      alert.priority = priority
      let entries = try entries(sampleWebhook(.opened, [alert]), .thin)
      found += [entries[0]["resource"]["severity"].text, entries[1]["resource"]["priority"].text]
    }
    #expect(found == ["high", "stat", "moderate", "urgent", "low", "routine", "low", "routine"])
  }
}
