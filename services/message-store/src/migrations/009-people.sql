-- People are found by parts of their names in every script, and may be deactivated by the host application.
--
-- The generated columns rewrite `users` and the index is built in the same transaction, during which it is locked: 48 s for
-- 100,000 people, on two cores that twenty others worked on. The version before this one runs on after it.

-- A name without what people leave out when they type it: case, accents, vowel points, apostrophes. Compatibility forms
-- are decomposed and stay so: the syllables of Hangul begin alike where they are typed alike.
create function fold_name(name text) returns text immutable strict parallel safe language sql as $$
  select btrim(regexp_replace(
    replace(replace(replace(replace(
      translate(
        regexp_replace(
          lower(normalize(name, nfkd) collate "pg_c_utf8"),
          '[\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]', '', 'g'),
        'øđłħıðςىیکةٱ''’ʼ`ـ' || U&'\00AD\200B\200C\200D\2060\FEFF',
        'odlhidσييكها'),
      'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'þ', 'th'),
    '[-\s._,;:/()|·・‐-―]+', ' ', 'g'))
$$;

-- As those write it who have no umlauts on their keyboard.
create function spell_out(name text) returns text immutable strict parallel safe language sql as $$
  select replace(replace(replace(replace(replace(lower(normalize(name, nfkc) collate "pg_c_utf8"), 'ä', 'ae'), 'ö', 'oe'), 'ü', 'ue'), 'å', 'aa'), 'ø', 'oe')
$$;

-- All that a person is found by: display name, the same spelled out where that is another one, and username.
create function name_for_search(display_name text, username text) returns text immutable strict parallel safe language sql as $$
  select concat_ws(' ', messaging.fold_name(display_name),
    nullif(messaging.fold_name(messaging.spell_out(display_name)), messaging.fold_name(display_name)),
    nullif(messaging.fold_name(username), messaging.fold_name(display_name)))
$$;

-- Single characters and pairs of a name's words, as numbers that differ from organization to organization: whoever looks
-- for somebody walks through their own people alone.
create function name_grams(org_id uuid, name text) returns bigint[] immutable strict parallel safe language sql as $$
  select coalesce(array_agg(distinct hashtextextended(g.gram, s.seed)), '{}')
  from (select uuid_hash_extended(org_id, 0) as seed) s, regexp_split_to_table(name, ' ') as w (word),
    lateral (
      select substr(w.word, i, 1) from generate_series(1, length(w.word)) i
      union all
      select substr(w.word, i, 2) from generate_series(1, length(w.word) - 1) i
    ) g (gram)
$$;

alter table users
  add column deactivated_at timestamptz,
  add column search_name text not null generated always as (messaging.name_for_search(display_name, username)) stored,
  -- An index takes no more than 2,700 bytes.
  add column sort_name text collate "C" not null generated always as (left(messaging.fold_name(display_name), 60)) stored;

create index users_listed on users (org_id, sort_name, id) where deactivated_at is null;
create index users_grams on users using gin (messaging.name_grams(org_id, search_name)) where deactivated_at is null;
drop index users_name;

-- What `like` finds each word of a text by.
create function patterns_of(words text) returns text[] immutable strict parallel safe language sql as $$
  select array_agg('%' || regexp_replace(w.word, '([\\%_])', '\\\1', 'g') || '%') from regexp_split_to_table(words, ' ') as w (word)
$$;

-- People of one organization by a part of their name, those first whose name begins with it. `p_q` null is everyone.
--
-- What many have is found within the first two thousand of the list; what few have is looked up in the index. Left to
-- the planner, which takes every pair for a rare one, a part that all of 100,000 people have took thirty times as long.
create function find_people(p_org uuid, p_q text, p_limit integer) returns setof uuid
stable language plpgsql set search_path = messaging, pg_temp set plan_cache_mode = force_custom_plan as $$
declare
  v_q text := fold_name(p_q);
  v_spelled text := nullif(fold_name(spell_out(p_q)), v_q);
  v_beginning text := left(v_q, 60);
  v_patterns text[];
  v_spelled_patterns text[];
  v_ids uuid[];
begin
  if p_q is null then
    return query select u.id from users u where u.org_id = p_org and u.deactivated_at is null order by u.sort_name, u.id limit p_limit;
    return;
  elsif v_q = '' then
    return;
  end if;
  select array_agg(x.id) into v_ids from (
    select u.id from users u
    where u.org_id = p_org and u.deactivated_at is null and u.sort_name >= v_beginning and u.sort_name < v_beginning || U&'\+10FFFF'
    order by u.sort_name, u.id limit p_limit) x;
  return query select unnest(v_ids);
  p_limit := p_limit - coalesce(cardinality(v_ids), 0);
  if p_limit <= 0 then
    return;
  end if;

  v_patterns := patterns_of(v_q);
  v_spelled_patterns := patterns_of(v_spelled);
  select array_agg(x.id) into v_ids from (
    select l.id from (
      select u.id, u.sort_name, u.search_name from users u
      where u.org_id = p_org and u.deactivated_at is null order by u.sort_name, u.id limit 2000) l
    where (l.search_name like all (v_patterns) or l.search_name like all (v_spelled_patterns)) and not starts_with(l.sort_name, v_beginning)
    order by l.sort_name, l.id limit p_limit) x;
  if cardinality(v_ids) = p_limit then
    return query select unnest(v_ids);
    return;
  end if;
  return query
    with found as materialized (
      select u.id, u.sort_name from users u
      where u.org_id = p_org and u.deactivated_at is null
        and (name_grams(u.org_id, u.search_name) @> name_grams(p_org, v_q) and u.search_name like all (v_patterns)
          or name_grams(u.org_id, u.search_name) @> name_grams(p_org, v_spelled) and u.search_name like all (v_spelled_patterns))
    )
    select f.id from found f where not starts_with(f.sort_name, v_beginning) order by f.sort_name, f.id limit p_limit;
end $$;
revoke execute on function find_people from public;
grant execute on function find_people to parley_store;
