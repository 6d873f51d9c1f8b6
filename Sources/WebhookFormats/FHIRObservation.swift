import VitalModel

/// What was measured when the alert changed, as an Observation of the vital-signs profile.
struct FHIRObservation {
  private let alert: AlertDocument
  private let webhook: Webhook
  private let vital: VitalDefinition
  private let value: DecimalValue

  let fullURL: String

  /// nil where nothing may be sent as a measurement: a thin payload, no value, a score, or a number that is a spread, a
  /// change or a rate of the vital and not the vital.
  init?(_ alert: AlertDocument, _ webhook: Webhook, _ payload: WebhookPayload, _ registry: VitalRegistry) {
    guard payload == .full, webhook.type != .digest, webhook.showsMeasuredValue, let value = alert.value,
      let code = alert.code.flatMap(registry.code), registry[code].unit == alert.unit
    else { return nil }
    self.alert = alert
    self.webhook = webhook
    self.value = value
    vital = registry[code]
    fullURL = FHIREncoding.fullURL("observation", webhook.webhookID)
  }

  func write(to out: inout JSONText) {
    out.field("resourceType", "Observation")
    FHIREncoding.meta(isSimulated: alert.simulated, to: &out)
    place(to: &out)
    FHIREncoding.identifier(FHIREncoding.System.webhook, webhook.webhookID, to: &out)
    // Nobody has looked at it yet.
    out.field("status", "preliminary")
    FHIREncoding.concepts(
      "category", "http://terminology.hl7.org/CodeSystem/observation-category", "vital-signs", "Vital Signs", to: &out)
    let part = PressurePart(vital)
    out.object("code") { out in
      if part == nil { codings(to: &out) } else { PressurePart.panel(to: &out) }
    }
    FHIREncoding.patient("subject", alert, to: &out)
    out.field("effectiveDateTime", Timestamp.format(alert.detectedTime))
    if let part {
      components(part, to: &out)
    } else {
      measured(to: &out)
    }
    if let device = alert.device {
      FHIREncoding.reference("device", "Device", FHIREncoding.System.device, device, to: &out)
    }
    let state = alert.unverified ? "unverified: check patient and sensor; " : ""
    out.array("note") { out in
      out.object {
        $0.field("text", "\(state)the value rule \(alert.ruleID) judged, which may be an average of samples")
      }
    }
  }

  /// Where the bed is, by FHIR's extension for the place of an observation.
  private func place(to out: inout JSONText) {
    guard let place = ThinAlert(alert, isEnded: false).place else { return }
    out.array("extension") { out in
      out.object { out in
        out.field("url", "http://hl7.org/fhir/StructureDefinition/event-location")
        out.object("valueReference") {
          $0.field("type", "Location")
          $0.field("display", place)
        }
      }
    }
  }

  private func codings(to out: inout JSONText) {
    out.array("coding") { out in
      for code in vital.loinc {
        out.object { FHIREncoding.coding(FHIREncoding.System.loinc, code, nil, to: &$0) }
      }
      for term in vital.mdc {
        out.object { FHIREncoding.coding(FHIREncoding.System.mdc, "\(term.number)", term.referenceID, to: &$0) }
      }
      if vital.loinc.isEmpty, vital.mdc.isEmpty {
        out.object { FHIREncoding.coding("urn:vigil:vital", vital.key, vital.title, to: &$0) }
      }
    }
    out.field("text", vital.title)
  }

  /// The value with what it says of the limit.
  private func measured(to out: inout JSONText) {
    if let letter {
      out.object("valueCodeableConcept") { $0.field("text", letter) }
      return
    }
    out.object("valueQuantity") { quantity(value, to: &$0) }
    guard let limit = alert.limit, !value.isSameNumber(as: limit) else { return }
    let isLow = value.double < limit.double
    FHIREncoding.concepts(
      "interpretation", "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", isLow ? "L" : "H",
      isLow ? "Low" : "High", to: &out)
    out.array("referenceRange") { out in
      out.object { out in
        out.object(isLow ? "low" : "high") { quantity(limit, to: &$0) }
        out.field("text", "alert limit")
      }
    }
  }

  private func quantity(_ number: DecimalValue, to out: inout JSONText) {
    out.field("value", number)
    out.field("unit", vital.unit)
    out.field("system", FHIREncoding.System.ucum)
    out.field("code", vital.unit)
  }

  /// What stands for the number where the vital is sent as letters.
  private var letter: String? {
    vital.letters.first { DecimalValue(mantissa: $0.value).isSameNumber(as: value) }?.text
  }

  // MARK: Blood pressure

  /// FHIR's blood pressure is one panel with both pressures.
  private enum PressurePart: CaseIterable {
    case systolic, diastolic

    init?(_ vital: VitalDefinition) {
      guard let part = Self.allCases.first(where: { vital.loinc.contains($0.loinc) }) else { return nil }
      self = part
    }

    var loinc: String { self == .systolic ? "8480-6" : "8462-4" }
    var title: String { self == .systolic ? "Systolic blood pressure" : "Diastolic blood pressure" }

    static func panel(to out: inout JSONText) {
      out.array("coding") { out in
        out.object {
          FHIREncoding.coding(
            FHIREncoding.System.loinc, "85354-9", "Blood pressure panel with all children optional", to: &$0)
        }
      }
      out.field("text", "Blood pressure")
    }
  }

  private func components(_ measuredPart: PressurePart, to out: inout JSONText) {
    out.array("component") { out in
      for part in PressurePart.allCases {
        out.object { out in
          out.object("code") { out in
            out.array("coding") { out in
              out.object { FHIREncoding.coding(FHIREncoding.System.loinc, part.loinc, part.title, to: &$0) }
            }
          }
          if part == measuredPart {
            measured(to: &out)
          } else {
            out.object("dataAbsentReason") { out in
              out.array("coding") { out in
                out.object {
                  FHIREncoding.coding(
                    "http://terminology.hl7.org/CodeSystem/data-absent-reason", "unknown", "Unknown", to: &$0)
                }
              }
            }
          }
        }
      }
    }
  }
}
