/// The dictionary that alert documents are packed with before they are sealed, each for itself.
///
/// Unsealed, RocksDB packs many documents together and needs none. It is text that documents resemble, readable and made up:
/// zstd takes any bytes for a dictionary and refers to those near its end most cheaply. Part of the format
/// (docs/formats/keys.md): it never changes; another text is another packing.
extension VaultPacker {
  static let documents = Array(documentText.utf8)

  private static let documentText =
    #"{"type":"alert.opened","timestamp":"2026-01-01T00:00:00.000Z","data":{"alert_id":"a-","sequence":1}}"#
    + #""type":"alert.updated" "type":"alert.escalated" "type":"alert.closed" "type":"alert.digest" application/json"#
    + #" respiratory rate body temperature systolic blood pressure mean arterial pressure heart rate SpO2 "#
    + #"spo2-low resp-low rr-low rr-high resp-high hr-low hr-high map-low fever-trend news2 signal-stale lead-off "#
    + #"Low oxygen saturation Low respiratory rate High respiratory rate Low heart rate High heart rate Fever "#
    + #"built-in: technical advisory latched update escalate de-escalate end low high medium info given accepted "#
    + #"rejected acknowledged actionable not-relevant false-alarm simulated resolved returned to normal "#
    + #"{"rule":"","version":"sha256:","when":"","for":"30s","clear":null,"bypass":null,"inputs":[{"input":"","value":"#
    + #"}],"samples":[{"time":"2026-01-01T00:00:00.000Z","code":"spo2","value":91,"unit":"%","quality":1,"status":"ok","#
    + #""source":"","device":""}],"evaluated_at":"2026-01-01T00:00:00.000Z","clock":"wall"}"#
    + #"{"alert_id":"a-","sequence":1,"tenant":"","patient":"","device":"","rule":{"id":"","version":"sha256:","title":"#
    + #"","mode":"live"},"priority":"medium","kind":"technical","phase":"start","state":"inactive","onset_time":"2026-"#
    + #"01-01T00:00:00.000Z","detected_time":"2026-01-01T00:00:00.000Z","code":"hr","value":130,"unit":"/min","limit":"#
    + #"130,"duration_s":23,"message":"heart rate 130 /min for 23 s (limit 130), rising","location":{"unit":"","bed":""#
    + #"},"sources":["/ecg"],"members":[],"unverified":true,"verification":null,"attempt_level":0,"respond_by":null,"#
    + #""still_active":false,"retrospective":false,"simulated":true,"suppressed":{"reason":"persistence","by":"for","#
    + #""until":null,"release":"the condition for its time, or the bypass limit"},"acknowledgement":{"by":"","class":"#
    + #""actionable","note":null,"time":"2026-01-01T00:00:00.000Z"},"responsibility":{"state":"accepted","by":""},"#
    + #""inactivation":"alert-acknowledged","escalated_to":null,"recurrent":false,"realarm":false,"end_reason":"#
    + #""condition over"}{"alert_id":"a-","sequence":1,"tenant":"demo","patient":"","device":"","rule":{"id":"","#
    + #""version":"sha256:","title":"","mode":"live"},"priority":"high","kind":"physiological","phase":"start","state":"#
    + #""active","onset_time":"2026-01-01T00:00:00.000Z","detected_time":"2026-01-01T00:00:00.000Z","code":"spo2","#
    + #""value":79,"unit":"%","limit":80,"duration_s":5,"message":"SpO2 79 % for 5 s (limit 80), falling; unverified: "#
    + #"check patient and sensor","location":{"unit":"","bed":""},"sources":["/pleth"],"members":[],"unverified":false,"#
    + #""verification":null,"attempt_level":0,"respond_by":null,"still_active":true,"retrospective":false,"simulated":"#
    + #"false,"suppressed":null,"acknowledgement":null,"responsibility":{"state":"undefined","by":null},"inactivation":"#
    + #""enabled","escalated_to":null,"recurrent":false,"realarm":false,"end_reason":null,"explain":"/v1/alerts/a-"#
    + #"/explanation"}"#
}
