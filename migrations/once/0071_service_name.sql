-- Services are looked up by name, the ended ones too, of which there may be many.
create index service_name on service (name, id desc);
