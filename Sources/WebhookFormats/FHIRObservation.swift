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
    FHIRWords.meta(isSimulated: alert.simulated, to: &out)
    place(to: &out)
    FHIRWords.identifier(FHIRWords.System.webhook, webhook.webhookID, to: &out)
    // Nobody has looked at it yet.
    out.field("status", "preliminary")
    FHIRWords.concepts(
      "category", FHIRWords.System.observationCategory, "vital-signs", "Vital Signs", to: &out)
    let part = FHIRPressure(vital)
    out.object("code") { out in
      if part == nil { FHIRWords.codings(vital, to: &out) } else { FHIRPressure.panel(to: &out) }
    }
    FHIREncoding.patient("subject", alert, to: &out)
    out.field("effectiveDateTime", Timestamp.format(alert.detectedTime))
    if let part {
      FHIRPressure.components(to: &out) { other, out in
        guard other == part else { return false }
        measured(to: &out)
        return true
      }
    } else {
      measured(to: &out)
    }
    if let device = alert.device {
      FHIRWords.reference("device", "Device", FHIRWords.System.device, device, to: &out)
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

  /// The value with what it says of the limit.
  private func measured(to out: inout JSONText) {
    if let letter {
      out.object("valueCodeableConcept") { $0.field("text", letter) }
      return
    }
    out.object("valueQuantity") { FHIRWords.quantity(value, unit: vital.unit, to: &$0) }
    guard let limit = alert.limit, !value.isSameNumber(as: limit) else { return }
    let isLow = value.double < limit.double
    FHIRWords.concepts(
      "interpretation", "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", isLow ? "L" : "H",
      isLow ? "Low" : "High", to: &out)
    out.array("referenceRange") { out in
      out.object { out in
        out.object(isLow ? "low" : "high") { FHIRWords.quantity(limit, unit: vital.unit, to: &$0) }
        out.field("text", "alert limit")
      }
    }
  }

  /// What stands for the number where the vital is sent as letters.
  private var letter: String? {
    vital.letters.first { DecimalValue(mantissa: $0.value).isSameNumber(as: value) }?.text
  }
}
