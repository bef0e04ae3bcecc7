/* What the guides use of ESP-IDF's esp-mqtt, with its names and types, so that a compiler can look at their blocks. */
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef int esp_err_t;
typedef const char *esp_event_base_t;
typedef void (*esp_event_handler_t)(void *, esp_event_base_t, int32_t, void *);
typedef struct esp_mqtt_client *esp_mqtt_client_handle_t;
typedef struct esp_mqtt_client *esp_mqtt5_client_handle_t;
typedef struct mqtt5_user_property_list_t *mqtt5_user_property_handle_t;
typedef enum { MQTT_EVENT_ANY = -1, MQTT_EVENT_ERROR, MQTT_EVENT_CONNECTED, MQTT_EVENT_DATA = 6 } esp_mqtt_event_id_t;
typedef enum { MQTT_PROTOCOL_UNDEFINED, MQTT_PROTOCOL_V_5 = 3 } esp_mqtt_protocol_ver_t;

typedef struct {
    esp_mqtt_client_handle_t client;
    char *data, *topic;
    int data_len, topic_len;
} *esp_mqtt_event_handle_t;

typedef struct {
    struct {
        struct {
            const char *uri;
        } address;
    } broker;
    struct {
        const char *client_id;
    } credentials;
    struct {
        esp_mqtt_protocol_ver_t protocol_ver;
    } session;
} esp_mqtt_client_config_t;

typedef struct {
    const char *key, *value;
} esp_mqtt5_user_property_item_t;

typedef struct {
    mqtt5_user_property_handle_t user_property;
} esp_mqtt5_subscribe_property_config_t;

esp_mqtt_client_handle_t esp_mqtt_client_init(const esp_mqtt_client_config_t *);
esp_err_t esp_mqtt_client_register_event(esp_mqtt_client_handle_t, esp_mqtt_event_id_t, esp_event_handler_t, void *);
esp_err_t esp_mqtt_client_start(esp_mqtt_client_handle_t);
int esp_mqtt_client_subscribe(esp_mqtt_client_handle_t, const char *, int);
esp_err_t esp_mqtt5_client_set_user_property(mqtt5_user_property_handle_t *, esp_mqtt5_user_property_item_t[], uint8_t);
esp_err_t esp_mqtt5_client_set_subscribe_property(
    esp_mqtt5_client_handle_t, const esp_mqtt5_subscribe_property_config_t *);
void esp_mqtt5_client_delete_user_property(mqtt5_user_property_handle_t);
