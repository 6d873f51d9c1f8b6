import Foundation
import VitalModel

@testable import WebhookFormats

/// Words that no thin payload may hold, each put where only that field can bring it out.
let secretWords = ["p-secret-017", "d-secret-9", "4242", "msg-secret", "note-secret", "user-secret", "src-secret"]

/// An alert with everything in it.
func sampleAlert() -> AlertDocument {
  var alert = AlertDocument()
  alert.alertID = "a-00112233445566778899aabbccddeeff"
  alert.sequence = 3
  alert.tenant = "north"
  alert.patient = "p-secret-017"
  alert.device = "d-secret-9"
  alert.ruleID = "spo2-low"
  alert.ruleVersion = "sha256:00"
  alert.ruleTitle = "Low oxygen saturation"
  alert.priority = .high
  alert.onsetTime = 1_795_214_236_000
  alert.detectedTime = 1_795_214_251_000
  alert.code = "spo2"
  alert.value = DecimalValue(mantissa: 4242, exponent: -2)
  alert.unit = "%"
  alert.limit = DecimalValue(mantissa: 90)
  alert.durationSeconds = 15
  alert.message = "msg-secret SpO2 4242"
  alert.locationUnit = "ward-7"
  alert.locationBed = "12"
  alert.sources = ["src-secret/pleth"]
  alert.acknowledgement = Acknowledgement(
    by: "user-secret", kind: .actionable, note: "note-secret", time: 1_795_214_260_000)
  return alert
}

/// The vitals the tests name.
let sampleRegistry = VitalRegistry([
  sampleVital("spo2", loinc: ["2708-6", "59408-5"], mdc: ("MDC_PULS_OXIM_SAT_O2", 150456), unit: "%"),
  sampleVital("sbp", loinc: ["8480-6", "76534-7"], unit: "mm[Hg]"),
  sampleVital("skin_temp", unit: "Cel"),
  sampleVital("consciousness", loinc: ["80288-4"], unit: "{ACVPU}", letters: [("A", 0), ("P", 3)]),
])

private func sampleVital(
  _ key: String, loinc: [String] = [], mdc: (String, Int)? = nil, unit: String,
  letters: [(text: String, value: Int64)] = []
) -> VitalDefinition {
  VitalDefinition(
    key: key, title: "Title of \(key)", loinc: loinc,
    mdc: mdc.map { [MDCTerm(referenceID: $0.0, number: $0.1)] } ?? [], unit: unit,
    units: [UnitConversion(unit: unit)], rejectBelow: DecimalValue(mantissa: 0),
    rejectAbove: DecimalValue(mantissa: 9999), resolutionExponent: 0, staleness: 60_000, letters: letters)
}

/// One webhook about the sample alert.
func sampleWebhook(
  _ type: WebhookType = .opened, _ alerts: [AlertDocument]? = nil, isMeasured: Bool = true
) -> Webhook {
  Webhook(
    type: type, webhookID: "a-00112233445566778899aabbccddeeff-3", receiver: "desk", timestampMs: 1_795_214_280_123,
    alerts: alerts ?? [sampleAlert()], showsMeasuredValue: isMeasured)
}

func encode(
  _ format: WebhookFormat, _ webhook: Webhook = sampleWebhook(), payload: WebhookPayload = .full
) -> EncodedWebhook {
  WebhookEncoder(format: format, payload: payload, registry: sampleRegistry).encode(webhook)
}

func text(_ encoded: EncodedWebhook) -> String { String(decoding: encoded.body, as: UTF8.self) }

/// A body as nested dictionaries, for looking at single fields.
struct JSONView {
  let value: Any?

  init(_ encoded: EncodedWebhook) throws {
    value = try JSONSerialization.jsonObject(with: Data(encoded.body), options: [.fragmentsAllowed])
  }
  private init(_ value: Any?) { self.value = value }

  subscript(_ key: String) -> JSONView { JSONView((value as? [String: Any])?[key]) }
  subscript(_ index: Int) -> JSONView {
    guard let list = value as? [Any], list.indices.contains(index) else { return JSONView(nil) }
    return JSONView(list[index])
  }
  var text: String? { value as? String }
  var number: Double? { (value as? NSNumber)?.doubleValue }
  var count: Int { (value as? [Any])?.count ?? 0 }
  var isNull: Bool { value == nil || value is NSNull }
  var list: [JSONView] { (value as? [Any])?.map { JSONView($0) } ?? [] }
}
